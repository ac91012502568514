import type { Command } from 'commander'
import { badInput } from './cli-error.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const

/** Words that may follow each command: its commands and options. */
interface Words {
  /** `checkpoints list`; '' is the program itself. */
  readonly after: string
  readonly words: readonly { readonly word: string; readonly about: string }[]
}

/**
 * A script that completes commands and options in `shell`; files where an argument is expected.
 * @throws {CliError} for another shell
 */
export function completionScript(shell: string, program: Command): string {
  const name = program.name()
  const all = wordsOf(program, '')
  switch (shell) {
    case 'bash':
      return bash(name, all)
    case 'zsh':
      return `#compdef ${name}\nautoload -Uz bashcompinit && bashcompinit\n${bash(name, all)}`
    case 'fish':
      return fish(name, all)
    default:
      throw badInput(`There is no completion for ${shell}. Expected one of: ${SHELLS.join(', ')}.`)
  }
}

function wordsOf(command: Command, after: string): Words[] {
  const own: Words = {
    after,
    words: [
      ...command.commands.map((it) => ({ word: it.name(), about: it.summary() || it.description() })),
      ...command.options.map((it) => ({ word: it.long ?? it.short ?? '', about: it.description })),
      { word: '--help', about: 'display help for command' },
    ],
  }
  const below = command.commands.flatMap((it) => wordsOf(it, `${after} ${it.name()}`.trim()))
  return [own, ...below]
}

/** The longest command that begins the line decides; its words are offered, else files. */
function bash(name: string, all: readonly Words[]): string {
  const cases = all
    .toSorted((a, b) => b.after.length - a.after.length)
    .map(({ after, words }) => `    ${after === '' ? '*' : `'${after}'*`}) words='${texts(words)}' ;;`)
  return `_${name}() {
  local line="\${COMP_WORDS[*]:1:COMP_CWORD-1}" words
  case "$line" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _${name} ${name}
`
}

const texts = (words: Words['words']): string => words.map(({ word }) => word).join(' ')

function fish(name: string, all: readonly Words[]): string {
  const lines = all.flatMap(({ after, words }) =>
    words.map(({ word, about }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`
      const text = about.split('\n')[0]?.replaceAll("'", '') ?? ''
      return `complete -c ${name} -n ${condition(after)} ${what} -d '${text}'`
    }),
  )
  return `${lines.join('\n')}\n`
}

const condition = (after: string): string =>
  after === ''
    ? '__fish_use_subcommand'
    : `'${after
        .split(' ')
        .map((word) => `__fish_seen_subcommand_from ${word}`)
        .join('; and ')}'`
