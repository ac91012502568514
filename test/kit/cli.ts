import { Writable } from 'node:stream'
import { printedError } from '#cli/cli-error'
import type { CliContext } from '#cli/context'
import { EXIT } from '#cli/exit-codes'
import { createOutput } from '#cli/output'
import { buildProgram } from '#cli/program'

export interface CliAnswer {
  readonly code: number
  /** All that it wrote, to both outputs. */
  readonly text: string
}

/** `weir <words>` in this process, as if typed in `cwd`. */
export async function weir(cwd: string, ...words: readonly string[]): Promise<CliAnswer> {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  }) as unknown as NodeJS.WriteStream
  let code: number = EXIT.ok
  const output = createOutput('text', stream, stream)
  const cli: CliContext = {
    invokedAs: 'weir',
    cwd,
    stdout: stream,
    stderr: stream,
    output: () => output,
    exit: (value) => (code = value),
  }
  const program = buildProgram(cli)
  const write = (part: string): void => void (text += part)
  for (const command of [program, ...program.commands, ...program.commands.flatMap((c) => c.commands)])
    command.exitOverride().configureOutput({ writeErr: write, writeOut: write })
  try {
    await program.parseAsync(['node', 'weir', ...words])
  } catch (error) {
    // What the parser refuses it has said already.
    if (isParserError(error)) return { code: EXIT.badInput, text }
    const printed = printedError(error)
    output.error(printed)
    code = printed.exitCode
  }
  return { code, text }
}

const isParserError = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('commander.')
