import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { completionScript } from '#cli/completion'
import type { CliContext } from '#cli/context'
import { buildProgram } from '#cli/program'

const cli: CliContext = {
  invokedAs: 'weir',
  cwd: '/',
  stdout: process.stdout,
  stderr: process.stderr,
  output: () => {
    throw new Error('nothing is put out')
  },
  exit: () => undefined,
}
const program = buildProgram(cli)

/** What bash offers for the last of these words. */
function offered(...words: readonly string[]): string[] {
  const line = words.map((word) => `'${word}'`).join(' ')
  const script = `${completionScript('bash', program)}
COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _weir; printf '%s\\n' "\${COMPREPLY[@]}"`
  return spawnSync('bash', ['-c', script], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean)
}

describe('completion', () => {
  test('offers the commands', () => {
    expect(offered('weir', 'sav')).toEqual(['savepoint', 'savepoints'])
  })
  test('offers the options of a command, wherever it stands in the line', () => {
    expect(offered('weir', 'run', 'job.ts', '--task')).toEqual(['--task-managers'])
    expect(offered('weir', 'checkpoints', 've')).toEqual(['verify'])
    expect(offered('weir', 'checkpoints', 'verify', '--pa')).toEqual(['--path'])
  })
  test('has a script for zsh and fish', () => {
    expect(completionScript('zsh', program)).toMatch(/^#compdef weir\n/)
    expect(completionScript('fish', program)).toContain(
      "complete -c weir -n '__fish_seen_subcommand_from run' -l task-managers",
    )
  })
  test('names the shells that it knows', () => {
    expect(() => completionScript('tcsh', program)).toThrow('Expected one of: bash, zsh, fish')
  })
})
