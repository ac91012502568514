import type { RestartOptions } from '#runtime/contract/job-options'
import { formatDuration } from '#runtime/base/units'

/** Failures so far, newest last; times on a monotonic clock. */
export interface FailureHistory {
  readonly failures: readonly number[]
}
export const noFailures: FailureHistory = { failures: [] }

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'fail'; readonly why: string }

const MULTIPLIER = 1.5
const JITTER = 0.1

/**
 * What to do about a failure at `now`. Pure; `random` in [0, 1).
 *
 * ExponentialDelay: delay x 1.5 per failure up to maxDelay, +-10 %; a window without failure starts
 * it over. FailureRate: restart after `delay` unless more than maxAttempts failures (default 5)
 * fell into the window. Either way the first lost process of a window is replaced without delay:
 * the delay damps crash loops, and one lost machine is none.
 */
export function decideRestart(
  options: RestartOptions,
  history: FailureHistory,
  failure: { readonly now: number; readonly processLost: boolean; readonly random: number },
): { readonly decision: RestartDecision; readonly history: FailureHistory } {
  const { now, processLost, random } = failure
  const recent =
    options.strategy === 'FailureRate'
      ? history.failures.filter((t) => t > now - options.windowMs)
      : sinceCalm(history.failures, now, options.windowMs)
  const failures = [...recent, now]
  const count = failures.length
  const limit = options.maxAttempts ?? (options.strategy === 'FailureRate' ? 5 : undefined)
  if (limit !== undefined && count > limit)
    return {
      history: { failures },
      decision: {
        kind: 'fail',
        why: `${count} failures within ${formatDuration(options.windowMs)}, restart.maxAttempts is ${limit}`,
      },
    }
  if (processLost && count === 1) return { history: { failures }, decision: { kind: 'restart', delayMs: 0 } }
  const base =
    options.strategy === 'FailureRate'
      ? options.delayMs
      : Math.min(options.maxDelayMs, options.delayMs * MULTIPLIER ** (count - 1))
  return {
    history: { failures },
    decision: { kind: 'restart', delayMs: base * (1 + JITTER * (2 * random - 1)) },
  }
}

/** Failures since the last quiet window. */
function sinceCalm(failures: readonly number[], now: number, windowMs: number): readonly number[] {
  const quiet = failures.findLastIndex((at, i) => (failures[i + 1] ?? now) - at >= windowMs)
  return failures.slice(quiet + 1)
}
