import type { Clock, Timer } from '#runtime/base/clock'

interface Scheduled {
  readonly at: number
  readonly order: number
  run: (() => void) | undefined
}

/** Lets every promise that can go on without time passing go on. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Time that passes only when told to: one event after the other, in order of time and then of
 * scheduling, with all promises run to their ends between two events. Equal programs with equal
 * seeds therefore run equally, whatever the machine does.
 */
export class VirtualClock implements Clock {
  readonly #origin: number
  #time = 0
  #order = 0
  readonly #heap: Scheduled[] = []

  constructor(origin = Date.UTC(2030, 0, 1)) {
    this.#origin = origin
  }

  now(): number {
    return this.#origin + this.#time
  }
  monotonic(): number {
    return this.#time
  }
  after(delayMs: number, run: () => void): Timer {
    const scheduled: Scheduled = { at: this.#time + Math.max(0, delayMs), order: this.#order++, run }
    this.#push(scheduled)
    return {
      cancel: () => {
        scheduled.run = undefined
      },
    }
  }

  soon(run: () => void): void {
    this.after(0, run)
  }

  /** Runs everything due up to `time` (monotonic), or until `done` says so after an event. */
  async runUntil(time: number, done: () => boolean = () => false): Promise<void> {
    await settled()
    while (!done()) {
      const next = this.#heap[0]
      if (next === undefined || next.at > time) break
      this.#pop()
      if (next.run === undefined) continue
      this.#time = Math.max(this.#time, next.at)
      next.run()
      await settled()
    }
    if (!done()) this.#time = Math.max(this.#time, time)
  }

  advance(ms: number): Promise<void> {
    return this.runUntil(this.#time + ms)
  }

  #push(item: Scheduled): void {
    const heap = this.#heap
    let i = heap.push(item) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!isBefore(item, heap[parent] as Scheduled)) break
      heap[i] = heap[parent] as Scheduled
      i = parent
    }
    heap[i] = item
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Scheduled
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Scheduled, heap[child] as Scheduled)) child++
      if (!isBefore(heap[child] as Scheduled, last)) break
      heap[i] = heap[child] as Scheduled
      i = child
    }
    heap[i] = last
  }
}

const isBefore = (a: Scheduled, b: Scheduled): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
