import { retrying } from '#runtime/base/backoff'
import type { Clock } from '#runtime/base/clock'

const RETRY_LIMIT_MS = 60_000

export interface RetryIoOptions {
  readonly clock: Clock
  /** Name of the wait. */
  readonly what: string
  readonly signal?: AbortSignal
}

/** The one layer that tries transient failures of a disk or a bucket again, except for commits. */
export function retryIo<T>({ clock, what, signal }: RetryIoOptions, work: () => Promise<T>): Promise<T> {
  return retrying(work, {
    what,
    limitMs: RETRY_LIMIT_MS,
    clock,
    random: () => 0.5,
    ...(signal === undefined ? {} : { signal }),
    initialMs: 100,
    maxMs: 5000,
    multiplier: 2,
    jitter: 0,
  })
}
