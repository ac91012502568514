/**
 * Every error that a person or another process can see. A foreign error is classified once, where
 * it enters, and kept as `cause`. `retry` says who may try again: nobody, the loop that owns the
 * work, the task, or the job. The decider is the error, never the caller's guess. Codes are never
 * reused; docs/errors.md lists them and a test keeps it equal to ERROR_CODES.
 */

export type Retry = 'never' | 'backoff' | 'restart-task' | 'restart-job'

export const ERROR_CODES = {
  CFG_INVALID: 'Configuration, manifest or arguments do not fit the schema.',
  CFG_MODULE: 'The job module cannot be loaded: syntax, missing package, or no defineJob default export.',
  CFG_GRAPH: 'The job graph is not valid: duplicate uid, missing uid, cycle, or no sink.',
  USR_FAILED:
    'User code failed: operator, line and record are named. A mistake that every try meets is not retried.',
  USR_TIMEOUT: 'User code in the JobManager did not return within its limit.',
  STO_UNAVAILABLE: 'The checkpoint store did not answer or answered with a transient failure.',
  STO_DENIED: 'The checkpoint store refused the credentials or the bucket does not exist.',
  STO_EXISTS: 'An object that must be created exists already.',
  STO_MISSING: 'An object that must exist is missing.',
  STO_UNSAFE: 'The store does not give conditional create; running on it would not be safe.',
  STO_CORRUPT: 'A stored object does not match its recorded length or SHA-256, or cannot be decoded.',
  STO_OWNED_BY_ANOTHER: 'The storage prefix belongs to another job.',
  CKP_DECLINED: 'A checkpoint was declined, expired or aborted; the reason is one of FAILURE_REASONS.',
  CKP_RESTORE: 'A checkpoint or savepoint cannot be restored into this job.',
  CKP_COMMIT_LOST: 'A prepared sink transaction that a completed checkpoint refers to no longer exists.',
  NET_LOST: 'A connection to another process was lost.',
  NET_REFUSED: 'Another process refused the connection or the message.',
  FENCED: 'A newer epoch, run or attempt exists; the holder of the older one stops.',
  KUB_API: 'The Kubernetes API refused or failed a request.',
  DEADLINE: 'A named wait reached its limit.',
  BUG: 'An invariant does not hold: a defect in Weir.',
} as const
export type ErrorCode = keyof typeof ERROR_CODES

export interface WeirErrorOptions {
  readonly cause?: unknown
  readonly retry?: Retry
  /** Values for logs; never secrets. */
  readonly context?: Readonly<Record<string, unknown>>
}

/**
 * The one error class that crosses process borders. `message` says what failed, with values, what
 * was expected, what to do.
 */
export class WeirError extends Error {
  readonly code: ErrorCode
  readonly retry: Retry
  readonly context: Readonly<Record<string, unknown>>
  constructor(code: ErrorCode, message: string, options: WeirErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'WeirError'
    this.code = code
    this.retry = options.retry ?? DEFAULT_RETRY[code]
    this.context = options.context ?? {}
  }
}

const DEFAULT_RETRY: Readonly<Record<ErrorCode, Retry>> = {
  CFG_INVALID: 'never',
  CFG_MODULE: 'never',
  CFG_GRAPH: 'never',
  USR_FAILED: 'restart-job',
  USR_TIMEOUT: 'never',
  STO_UNAVAILABLE: 'backoff',
  STO_DENIED: 'never',
  STO_EXISTS: 'never',
  STO_MISSING: 'never',
  STO_UNSAFE: 'never',
  STO_CORRUPT: 'never',
  STO_OWNED_BY_ANOTHER: 'never',
  CKP_DECLINED: 'backoff',
  CKP_RESTORE: 'never',
  CKP_COMMIT_LOST: 'never',
  NET_LOST: 'restart-job',
  NET_REFUSED: 'backoff',
  FENCED: 'never',
  KUB_API: 'backoff',
  DEADLINE: 'backoff',
  BUG: 'never',
}

/**
 * An error as plain data, for RPC, REST and status. `stack` carries the user's own lines for
 * USR_FAILED only.
 */
export interface ErrorData {
  readonly code: ErrorCode
  readonly message: string
  readonly retry: Retry
  readonly context: Readonly<Record<string, unknown>>
  readonly stack?: string
}

export function toErrorData(error: unknown): ErrorData {
  if (error instanceof WeirError) {
    const data: ErrorData = {
      code: error.code,
      message: error.message,
      retry: error.retry,
      context: error.context,
    }
    return (error.code === 'USR_FAILED' || error.code === 'BUG') &&
      error.cause instanceof Error &&
      error.cause.stack !== undefined
      ? { ...data, stack: error.cause.stack }
      : data
  }
  const e = error instanceof Error ? error : new Error(String(error))
  return {
    code: 'BUG',
    message: e.message,
    retry: 'restart-job',
    context: {},
    ...(e.stack === undefined ? {} : { stack: e.stack }),
  }
}

/**
 * The error of another process or thread. Its stack is the cause's, so that it survives being sent
 * on: `toErrorData(fromErrorData(d))` says the same as `d`.
 */
export function fromErrorData(data: ErrorData): WeirError {
  const { code, message, retry, context, stack } = data
  if (stack === undefined) return new WeirError(code, message, { retry, context })
  const cause = new Error(message)
  cause.stack = stack
  return new WeirError(code, message, { retry, context, cause })
}

/** @throws {WeirError} BUG when `condition` is false. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition)
    throw new WeirError('BUG', `Invariant broken: ${message}. This is a defect in Weir, please report it.`)
}

/**
 * `value`, which an invariant says is there. @throws {WeirError} BUG naming `what` when it is not.
 */
export function present<T>(value: T | undefined, what: string): T {
  invariant(value !== undefined, `${what} is missing`)
  return value
}

export function assertNever(value: never): never {
  throw new WeirError('BUG', `Unexpected value ${JSON.stringify(value)}`)
}

export const isErrorCode = (value: unknown): value is ErrorCode =>
  typeof value === 'string' && Object.hasOwn(ERROR_CODES, value)

/** The system error code (ENOENT, ECONNREFUSED ...) of a Node error, if it has one. */
export function systemCode(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
