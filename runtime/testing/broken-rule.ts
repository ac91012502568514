import { systemClock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'

/** A connector of the user breaks a rule of its contract: which, and by what it shows. */
export const brokenRule = (who: string, rule: string, seen: string, cause?: unknown): WeirError =>
  new WeirError('USR_FAILED', `${who} breaks a rule: ${rule}. ${seen}`, {
    retry: 'never',
    context: { rule },
    ...(cause === undefined ? {} : { cause }),
  })

const LIMIT_MS = 15_000

/** `work`, or an error when it takes longer than anything in a test does. */
export async function within<T>(work: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>()
  const text = `There was not ${what} within ${LIMIT_MS / 1000} s.`
  const timer = systemClock.after(LIMIT_MS, () => late.reject(new WeirError('DEADLINE', text)))
  try {
    return await Promise.race([work, late.promise])
  } finally {
    timer.cancel()
  }
}

/** At most `count` of the numbers below `end`, the first and the last among them. */
export function spread(end: number, count: number): number[] {
  if (count >= end) return Array.from({ length: end }, (_, n) => n)
  const step = (end - 1) / Math.max(1, count - 1)
  return [...new Set(Array.from({ length: count }, (_, i) => Math.round(i * step)))]
}
