import type { WaitView } from '#runtime/contract/rest'

/**
 * A checkpoint takes its time, and a busy store is slow for a second now and then: neither is worth
 * a word to people before this.
 */
export const LONG_MS = 10_000

/**
 * Of what a job waits for, what is worth a write to the API server: JobManagers leave out what is
 * over within a second. `isRepeated`: another wait has ended a moment ago, so that this one must
 * last. `now` is wall clock.
 */
export const lastingWaits = (waits: readonly WaitView[], now: number, isRepeated = false): WaitView[] =>
  waits.filter((wait) => now - wait.since >= boundOf(wait, isRepeated))

/**
 * Milliseconds until there is more to say of a wait: until one that is left out lasts, or the store
 * is no longer just slow. Undefined where nothing more comes.
 */
export function lastsIn(waits: readonly WaitView[], now: number, isRepeated: boolean): number | undefined {
  const missing = waits
    .flatMap((wait) =>
      [boundOf(wait, isRepeated), wait.kind === 'store' ? LONG_MS : 0].map((ms) => ms - (now - wait.since)),
    )
    .filter((ms) => ms > 0)
  return missing.length === 0 ? undefined : Math.min(...missing)
}

const boundOf = ({ kind }: WaitView, isRepeated: boolean): number =>
  isRepeated || kind === 'checkpoint' ? LONG_MS : 0
