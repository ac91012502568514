import type { Clock } from './clock.ts'
import { WeirError } from './errors.ts'

/** Something that is given up when no sign of life comes within a limit. */
export interface Watchdog {
  /** Aborts with a WeirError DEADLINE. */
  readonly signal: AbortSignal
  /** A sign of life: the limit begins anew. */
  touch(): void
  /** Ends the watch; the signal does not abort any more. */
  cancel(): void
}

/**
 * `what` names what is waited for, in the error's words: "`what` within `limitMs` ms". One timer
 * however often it is touched. Without `touch` it is a deadline.
 */
export function watchdog(clock: Clock, limitMs: number, what: string): Watchdog {
  const controller = new AbortController()
  let lastMs = clock.monotonic()
  const look = () => {
    const leftMs = limitMs - (clock.monotonic() - lastMs)
    if (leftMs > 0) timer = clock.after(leftMs, look)
    else controller.abort(new WeirError('DEADLINE', `${what} within ${limitMs} ms`))
  }
  let timer = clock.after(limitMs, look)
  return {
    signal: controller.signal,
    touch: () => {
      lastMs = clock.monotonic()
    },
    cancel: () => timer.cancel(),
  }
}
