import type { WaitView } from '#runtime/contract/rest'

/** A checkpoint takes its time; what only makes it slow is not told of before this. */
const LONG_MS = 10_000

/**
 * Of what a job waits for, what is worth a write to the API server: JobManagers leave out what is
 * over within a second. `isRepeated`: another wait has ended a moment ago, so that this one must
 * last. `now` is wall clock.
 */
export const lastingWaits = (waits: readonly WaitView[], now: number, isRepeated = false): WaitView[] =>
  waits.filter((wait) => now - wait.since >= boundOf(wait, isRepeated))

/** Milliseconds until a wait that is left out now lasts; undefined where none is. */
export function lastsIn(waits: readonly WaitView[], now: number, isRepeated: boolean): number | undefined {
  const missing = waits.map((wait) => boundOf(wait, isRepeated) - (now - wait.since)).filter((ms) => ms > 0)
  return missing.length === 0 ? undefined : Math.min(...missing)
}

const boundOf = ({ kind }: WaitView, isRepeated: boolean): number =>
  isRepeated || kind === 'checkpoint' ? LONG_MS : 0
