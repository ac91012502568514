import { member, textMember } from '#runtime/base/member'
import { WeirError } from '#runtime/base/errors'

/** What a request was about, in words for people. */
export interface RequestTarget {
  /** `PATCH /apis/apps/v1/namespaces/shop/deployments/orders-jm` */
  readonly request: string
  readonly kind: string
  /** Absent for a list or a watch. */
  readonly name?: string | undefined
}

/** One of `details.causes` of a Status object. */
export interface Cause {
  /** Machine-readable, such as NamespaceTerminating or FieldValueInvalid. */
  readonly reason: string
  /** `spec.template.spec.containers[0].image`; empty where it is about no field. */
  readonly field: string
}

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
  readonly target: RequestTarget | undefined
  readonly causes: readonly Cause[]

  constructor(
    message: string,
    options: {
      status: number
      reason: string
      detail?: string
      target?: RequestTarget
      causes?: readonly Cause[]
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
    this.target = options.target
    this.causes = options.causes ?? []
  }
}

function isPermanent(status: number): boolean {
  return status >= 400 && status < 500 && ![401, 408, 409, 410, 425, 429].includes(status)
}

/** From a response body: a Status object, or whatever a proxy sent instead. */
export function errorOf(
  target: RequestTarget,
  status: number,
  body: string,
  retryAfter?: string,
): KubeApiError {
  const answer = parsed(body)
  const detail = textMember(answer, 'message') ?? body.slice(0, 500)
  const reason = textMember(answer, 'reason') ?? ''
  const seconds = Number(retryAfter)
  const code = `${status}${reason === '' ? '' : ` ${reason}`}`
  return new KubeApiError(`${target.request} failed with ${code}: ${detail}`, {
    status,
    reason,
    detail,
    target,
    causes: causesOf(answer),
    retryAfterMs: retryAfter !== undefined && Number.isFinite(seconds) ? seconds * 1000 : undefined,
  })
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    // Not a Status object: the text itself is the message.
    return undefined
  }
}

function causesOf(answer: unknown): Cause[] {
  const causes = member(member(answer, 'details'), 'causes')
  if (!Array.isArray(causes)) return []
  return causes.map((cause: unknown) => ({
    reason: textMember(cause, 'reason') ?? '',
    field: textMember(cause, 'field') ?? '',
  }))
}

const hasStatus =
  (status: number) =>
  (error: unknown): error is KubeApiError =>
    error instanceof KubeApiError && error.status === status

export const isNotFound = hasStatus(404)
export const isConflict = hasStatus(409)
export const isGone = hasStatus(410)
