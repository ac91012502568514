import { reasonOf } from './abort.ts'

/**
 * Time is an argument: everything that waits takes a Clock, so that tests and the simulator own
 * time.
 */
export interface Clock {
  /**
   * Wall-clock milliseconds since the epoch; for timestamps that people read, never for durations
   * or deadlines.
   */
  now(): number
  /**
   * Milliseconds on a clock that never goes back; origin arbitrary. For durations, deadlines,
   * leases.
   */
  monotonic(): number
  /** Calls `run` once after `delayMs` (>= 0). The returned timer is void after `cancel`. */
  after(delayMs: number, run: () => void): Timer
  /** Calls `run` once, after what else is waiting for this thread (messages, I/O) had its turn. */
  soon(run: () => void): void
}

export interface Timer {
  cancel(): void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    const handle = setTimeout(run, delayMs)
    return { cancel: () => clearTimeout(handle) }
  },
  soon(run) {
    setImmediate(run)
  },
}

/** Resolves after `delayMs`; rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(reasonOf(signal))
    const onAbort = () => {
      timer.cancel()
      if (signal !== undefined) reject(reasonOf(signal))
    }
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
