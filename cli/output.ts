import type { PrintedError } from './cli-error.ts'

export type OutputFormat = 'text' | 'json'

/**
 * Where a command writes. Results go to stdout in one of two forms; progress and errors go to
 * stderr, so that a pipe gets only the result.
 */
export interface Output {
  readonly format: OutputFormat
  /** The command's result: `text` for people, or `value` as indented JSON. Called once. */
  result(value: unknown, text: string): void
  /** A line of progress; nothing in JSON form. */
  progress(line: string): void
  error(error: PrintedError): void
}

export function createOutput(
  format: OutputFormat,
  stdout: NodeJS.WritableStream,
  stderr: NodeJS.WritableStream,
): Output {
  return {
    format,
    result(value, text) {
      stdout.write(format === 'json' ? `${JSON.stringify(value, null, 2)}\n` : `${text}\n`)
    },
    progress(line) {
      if (format === 'text') stderr.write(`${line}\n`)
    },
    error({ code, message, next, stack, exitCode }) {
      if (format === 'json') {
        stderr.write(`${JSON.stringify({ error: { code, message, next, exitCode } })}\n`)
        return
      }
      stderr.write(`error: ${message}\n`)
      if (next !== undefined) stderr.write(`${next}\n`)
      if (stack !== undefined) stderr.write(`This is a defect in Weir, please report it with:\n${stack}\n`)
    },
  }
}
