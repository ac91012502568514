import { type Clock, sleep } from './clock.ts'
import { WeirError } from './errors.ts'

export interface BackoffOptions {
  readonly initialMs: number
  readonly maxMs: number
  readonly multiplier: number
  /** 0.1 = up to 10 % more or less. */
  readonly jitter: number
}

/**
 * Delay before try number `tries` + 1 (`tries` >= 1 failures so far). `random` gives [0, 1). Pure.
 */
export function backoffDelay(options: BackoffOptions, tries: number, random: number): number {
  const base = Math.min(options.maxMs, options.initialMs * options.multiplier ** (tries - 1))
  return Math.max(0, base * (1 + options.jitter * (2 * random - 1)))
}

export interface RetryOptions extends BackoffOptions {
  /** Name of the wait, for the DEADLINE error. */
  readonly what: string
  readonly limitMs: number
  readonly clock: Clock
  readonly random: () => number
  readonly signal?: AbortSignal
  /** Default: WeirError with retry 'backoff'. */
  readonly retryable?: (error: unknown) => boolean
}

/**
 * Retries `work` at one layer with backoff and jitter until it succeeds, fails for good, the signal
 * aborts, or `limitMs` has passed.
 */
export async function retrying<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const start = options.clock.monotonic()
  const retryable = options.retryable ?? ((e) => e instanceof WeirError && e.retry === 'backoff')
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (!retryable(error)) throw error
      const delay = backoffDelay(options, tries, options.random())
      if (options.clock.monotonic() - start + delay > options.limitMs) throw error
      await sleep(options.clock, delay, options.signal)
    }
  }
}
