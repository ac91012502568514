import type { Clock, Timer } from '#runtime/base/clock'

interface Alarm {
  /** Monotonic milliseconds. */
  readonly at: number
  readonly order: number
  /** Undefined once cancelled. */
  run: (() => void) | undefined
}

/** Lets every promise that can go on without time passing go on. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Time that passes only when a test says so: one alarm after the other, in order of time and then
 * of setting. Wall clock and monotonic clock go together; the first starts at `startMs`, the second
 * at 0. Time passes in one of two ways: `advance` runs what is due at once, for code without
 * promises; `runFor` and `runUntil` run all promises to their ends between two alarms, so that
 * equal programs run equally, whatever the machine does.
 */
export class TestClock implements Clock {
  readonly #startMs: number
  readonly #alarms = new AlarmHeap()
  #elapsedMs = 0
  #order = 0

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
    const alarm: Alarm = { at: this.#elapsedMs + Math.max(0, delayMs), order: this.#order++, run }
    this.#alarms.push(alarm)
    return {
      cancel: () => {
        alarm.run = undefined
      },
    }
  }

  soon(run: () => void): void {
    this.after(0, run)
  }

  /** Lets `ms` pass and runs what is due on the way; promises run when the caller awaits. */
  advance(ms: number): void {
    const until = this.#elapsedMs + ms
    while (this.#ring(until));
    this.#elapsedMs = until
  }

  /** Lets `ms` pass; promises run before the first alarm and after each. */
  runFor(ms: number): Promise<void> {
    return this.runUntil(this.#elapsedMs + ms)
  }

  /**
   * Lets time pass until `time` (monotonic), or until `done` says so after an alarm; promises run
   * before the first alarm and after each.
   */
  async runUntil(time: number, done: () => boolean = () => false): Promise<void> {
    await settled()
    while (!done() && this.#ring(time)) await settled()
    if (!done()) this.#elapsedMs = Math.max(this.#elapsedMs, time)
  }

  /** Runs the next alarm that is due by `until`; false when there is none. */
  #ring(until: number): boolean {
    for (let next = this.#alarms.first; next !== undefined && next.at <= until; next = this.#alarms.first) {
      this.#alarms.pop()
      if (next.run === undefined) continue
      this.#elapsedMs = Math.max(this.#elapsedMs, next.at)
      next.run()
      return true
    }
    return false
  }
}

/** A binary heap: the simulator sets millions of alarms. */
class AlarmHeap {
  readonly #items: Alarm[] = []

  get first(): Alarm | undefined {
    return this.#items[0]
  }

  push(item: Alarm): void {
    const items = this.#items
    let i = items.push(item) - 1
    while (i > 0) {
      const at = (i - 1) >> 1
      const parent = items[at]
      if (parent === undefined || !isBefore(item, parent)) break
      items[i] = parent
      i = at
    }
    items[i] = item
  }

  /** Removes the first. */
  pop(): void {
    const items = this.#items
    const last = items.pop()
    if (last === undefined || items.length === 0) return
    let i = 0
    for (;;) {
      const at = this.#lesserChild(i)
      const child = items[at]
      if (child === undefined || !isBefore(child, last)) break
      items[i] = child
      i = at
    }
    items[i] = last
  }

  /** Index of the child that rings first; behind the end: there is none. */
  #lesserChild(parent: number): number {
    const at = 2 * parent + 1
    const [left, right] = [this.#items[at], this.#items[at + 1]]
    return left !== undefined && right !== undefined && isBefore(right, left) ? at + 1 : at
  }
}

const isBefore = (a: Alarm, b: Alarm): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
