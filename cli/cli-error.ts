import { type ErrorCode, messageOf, WeirError } from '#runtime/base/errors'
import { EXIT, type ExitCode } from './exit-codes.ts'

export interface CliErrorOptions {
  /** What to type or change now: one sentence or one command. */
  readonly next?: string
  readonly cause?: unknown
}

/**
 * A failure that the user is meant to read: one or two sentences, an exit code, and what to do
 * next. Printed without a stack.
 */
export class CliError extends Error {
  readonly exitCode: ExitCode
  readonly next: string | undefined
  constructor(exitCode: ExitCode, message: string, options: CliErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CliError'
    this.exitCode = exitCode
    this.next = options.next
  }
}

export const badInput = (message: string, next?: string): CliError =>
  new CliError(EXIT.badInput, message, next === undefined ? {} : { next })
export const notFound = (message: string, next?: string): CliError =>
  new CliError(EXIT.notFound, message, next === undefined ? {} : { next })
export const failed = (message: string, next?: string): CliError =>
  new CliError(EXIT.failed, message, next === undefined ? {} : { next })

export interface PrintedError {
  readonly exitCode: ExitCode
  readonly code: ErrorCode | undefined
  readonly message: string
  readonly next: string | undefined
  /** Only for defects of Weir, never for a user's mistake. */
  readonly stack: string | undefined
}

const BAD_INPUT_CODES: readonly ErrorCode[] = ['CFG_INVALID', 'CFG_MODULE', 'CFG_GRAPH']

/** Any thrown value as what is printed and the exit code. Pure. */
export function printedError(error: unknown): PrintedError {
  if (error instanceof CliError)
    return {
      exitCode: error.exitCode,
      code: undefined,
      message: error.message,
      next: error.next,
      stack: undefined,
    }
  if (error instanceof WeirError)
    return {
      exitCode: exitCodeOf(error.code),
      code: error.code,
      message: error.message,
      next: undefined,
      stack: error.code === 'BUG' ? error.stack : undefined,
    }
  return {
    exitCode: EXIT.failed,
    code: undefined,
    message: messageOf(error),
    next: undefined,
    stack: error instanceof Error ? error.stack : undefined,
  }
}

function exitCodeOf(code: ErrorCode): ExitCode {
  if (BAD_INPUT_CODES.includes(code)) return EXIT.badInput
  return code === 'STO_MISSING' ? EXIT.notFound : EXIT.failed
}
