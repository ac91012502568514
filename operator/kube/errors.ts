import { textMember } from '#runtime/base/member'
import { WeirError } from '#runtime/base/errors'

/**
 * An answer of the API server that is no success, or no answer at all (status 0). `retry` is
 * 'never' where repeating the request cannot help without a change.
 */
export class KubeApiError extends WeirError {
  readonly status: number
  /** Machine-readable reason of the Status object, such as NotFound or Invalid. */
  readonly reason: string
  readonly retryAfterMs: number | undefined
  /** What the server said, without the request. */
  readonly detail: string

  constructor(
    message: string,
    options: {
      status: number
      reason: string
      detail?: string
      retryAfterMs?: number | undefined
      cause?: unknown
    },
  ) {
    super('KUB_API', message, {
      retry: isPermanent(options.status) ? 'never' : 'backoff',
      context: { status: options.status, reason: options.reason },
      ...(options.cause === undefined ? {} : { cause: options.cause }),
    })
    this.name = 'KubeApiError'
    this.status = options.status
    this.reason = options.reason
    this.retryAfterMs = options.retryAfterMs
    this.detail = options.detail ?? message
  }
}

function isPermanent(status: number): boolean {
  return status >= 400 && status < 500 && ![401, 408, 409, 410, 425, 429].includes(status)
}

/** From a response body: a Status object, or whatever a proxy sent instead. */
export function errorOf(
  what: string,
  status: number,
  body: string,
  retryAfter: string | undefined,
): KubeApiError {
  let message = body.slice(0, 500)
  let reason = ''
  try {
    const parsed: unknown = JSON.parse(body)
    message = textMember(parsed, 'message') ?? message
    reason = textMember(parsed, 'reason') ?? reason
  } catch {
    // Not a Status object: the text itself is the message.
  }
  const seconds = Number(retryAfter)
  return new KubeApiError(`${what} failed with ${status}${reason === '' ? '' : ` ${reason}`}: ${message}`, {
    status,
    reason,
    detail: message,
    retryAfterMs: retryAfter !== undefined && Number.isFinite(seconds) ? seconds * 1000 : undefined,
  })
}

const hasStatus =
  (status: number) =>
  (error: unknown): error is KubeApiError =>
    error instanceof KubeApiError && error.status === status

export const isNotFound = hasStatus(404)
export const isConflict = hasStatus(409)
export const isGone = hasStatus(410)
export const isForbidden = hasStatus(403)
export const isInvalid = hasStatus(422)
