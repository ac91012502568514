/**
 * The command line of `weir` and, under the name `kubectl-weir`, of kubectl's plugin: the only file
 * here that reads process.argv and sets the exit code. bin/weir.js starts it.
 */
import { basename } from 'node:path'
import type { CommanderError } from 'commander'
import { printedError } from './cli-error.ts'
import type { CliContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { createOutput, type OutputFormat } from './output.ts'
import { buildProgram } from './program.ts'

async function main(argv: readonly string[]): Promise<number> {
  let code: number = EXIT.ok
  const output = (format: string | undefined) =>
    createOutput(format === 'json' ? 'json' : ('text' satisfies OutputFormat), process.stdout, process.stderr)
  const cli: CliContext = {
    invokedAs: /^kubectl-weir(\.js|\.exe)?$/.test(basename(argv[1] ?? '')) ? 'kubectl weir' : 'weir',
    cwd: process.cwd(),
    stdout: process.stdout,
    stderr: process.stderr,
    output: (options) => output(options.output),
    exit: (value) => (code = value),
  }
  const program = buildProgram(cli)
  const all = [program, ...program.commands, ...program.commands.flatMap((command) => command.commands)]
  for (const command of all) command.exitOverride()
  try {
    await program.parseAsync([...argv])
    return code
  } catch (error) {
    if (isCommanderError(error)) return error.exitCode === 0 ? EXIT.ok : EXIT.badInput
    const printed = printedError(error)
    output(wantsJson(argv) ? 'json' : 'text').error(printed)
    return printed.exitCode
  }
}

/** commander has printed its message already. */
const isCommanderError = (error: unknown): error is CommanderError =>
  error instanceof Error &&
  'code' in error &&
  typeof error.code === 'string' &&
  error.code.startsWith('commander.')

const wantsJson = (argv: readonly string[]): boolean =>
  argv.some(
    (word, at) =>
      word === '-ojson' ||
      word === '--output=json' ||
      ((word === '-o' || word === '--output') && argv[at + 1] === 'json'),
  )

// A reader that closes the pipe early (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed),
)
process.exitCode = await main(process.argv)
