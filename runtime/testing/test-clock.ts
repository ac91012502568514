import type { Clock, Timer } from '#runtime/base/clock'

interface Alarm {
  readonly at: number
  readonly run: () => void
}

/**
 * Time that stands still until `advance`. Wall clock and monotonic clock go together; the first
 * starts at `startMs`, the second at 0.
 */
export class TestClock implements Clock {
  readonly #startMs: number
  #elapsedMs = 0
  #alarms: Alarm[] = []

  constructor(startMs = 0) {
    this.#startMs = startMs
  }

  now(): number {
    return this.#startMs + this.#elapsedMs
  }

  monotonic(): number {
    return this.#elapsedMs
  }

  after(delayMs: number, run: () => void): Timer {
    const alarm: Alarm = { at: this.#elapsedMs + delayMs, run }
    this.#alarms.push(alarm)
    return {
      cancel: () => {
        this.#alarms = this.#alarms.filter((a) => a !== alarm)
      },
    }
  }

  soon(run: () => void): void {
    this.after(0, run)
  }

  /** Lets `ms` pass and runs what is due on the way, in order of time. */
  advance(ms: number): void {
    const until = this.#elapsedMs + ms
    for (;;) {
      const next = this.#alarms.filter((a) => a.at <= until).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#alarms = this.#alarms.filter((a) => a !== next)
      this.#elapsedMs = Math.max(this.#elapsedMs, next.at)
      next.run()
    }
    this.#elapsedMs = until
  }
}
