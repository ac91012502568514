/**
 * Keys waiting to be reconciled.
 *
 * I1 A key is in the queue at most once, however often it is added.
 * I2 A key that is being worked on is given to nobody else; if it is added meanwhile it comes back
 *    after `done`.
 * I3 Of several delayed adds of a key the earliest counts; an immediate add makes delayed ones
 *    void.
 * I4 Delays of failures are per key: one broken object slows down no other.
 * I5 An urgent key, of which something is new, is taken before every routine one, which is looked
 *    at only to be sure. A routine key may become urgent.
 */
import { type BackoffOptions, backoffDelay } from '#runtime/base/backoff'
import type { Clock, Timer } from '#runtime/base/clock'

export type Urgency = 'urgent' | 'routine'

export class WorkQueue<K extends string = string> {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #backoff: BackoffOptions
  readonly #urgent: K[] = []
  /** May hold keys that have become urgent, or were taken, since: `#queued` decides. */
  readonly #routine: K[] = []
  readonly #queued = new Map<K, Urgency>()
  readonly #active = new Set<K>()
  readonly #again = new Map<K, Urgency>()
  readonly #failures = new Map<K, number>()
  readonly #delayed = new Map<K, { readonly dueAt: number; readonly timer: Timer }>()
  readonly #takers: ((key: K | undefined) => void)[] = []
  #closed = false

  constructor(options: { clock: Clock; random: () => number; backoff?: BackoffOptions }) {
    this.#clock = options.clock
    this.#random = options.random
    this.#backoff = options.backoff ?? { initialMs: 100, maxMs: 300_000, multiplier: 2, jitter: 0.2 }
  }

  /** Keys that wait for a worker now. */
  get depth(): number {
    return this.#queued.size
  }

  add(key: K, urgency: Urgency = 'urgent'): void {
    if (this.#closed) return
    this.#cancelDelayed(key)
    if (this.#active.has(key)) {
      if (this.#again.get(key) !== 'urgent') this.#again.set(key, urgency)
      return
    }
    const queued = this.#queued.get(key)
    if (queued === urgency || queued === 'urgent') return
    const taker = this.#takers.shift()
    if (taker !== undefined) {
      this.#active.add(key)
      taker(key)
      return
    }
    this.#queued.set(key, urgency)
    if (urgency === 'urgent') this.#urgent.push(key)
    else this.#routine.push(key)
  }

  addAfter(key: K, delayMs: number): void {
    if (this.#closed || this.#queued.has(key)) return
    const dueAt = this.#clock.monotonic() + delayMs
    const existing = this.#delayed.get(key)
    if (existing !== undefined && existing.dueAt <= dueAt) return
    existing?.timer.cancel()
    const timer = this.#clock.after(delayMs, () => {
      this.#delayed.delete(key)
      this.add(key)
    })
    this.#delayed.set(key, { dueAt, timer })
  }

  /**
   * Adds a key after a failure; returns the delay in milliseconds. `atLeastMs` is what the server
   * asked for.
   */
  retry(key: K, atLeastMs = 0): number {
    const failures = (this.#failures.get(key) ?? 0) + 1
    this.#failures.set(key, failures)
    const delayMs = Math.max(atLeastMs, backoffDelay(this.#backoff, Math.min(failures, 64), this.#random()))
    this.addAfter(key, delayMs)
    return delayMs
  }

  /** The key has succeeded: its next failure begins with the first delay again. */
  forget(key: K): void {
    this.#failures.delete(key)
  }

  /** The next key, or undefined once the queue is closed. Every taken key needs `done`. */
  take(): Promise<K | undefined> {
    if (this.#closed) return Promise.resolve(undefined)
    const key = this.#next()
    if (key === undefined) return new Promise((resolve) => this.#takers.push(resolve))
    this.#queued.delete(key)
    this.#active.add(key)
    return Promise.resolve(key)
  }

  #next(): K | undefined {
    const urgent = this.#urgent.shift()
    if (urgent !== undefined) return urgent
    for (;;) {
      const key = this.#routine.shift()
      if (key === undefined || this.#queued.get(key) === 'routine') return key
    }
  }

  done(key: K): void {
    this.#active.delete(key)
    const again = this.#again.get(key)
    this.#again.delete(key)
    if (again !== undefined) this.add(key, again)
  }

  close(): void {
    this.#closed = true
    for (const { timer } of this.#delayed.values()) timer.cancel()
    this.#delayed.clear()
    for (const taker of this.#takers.splice(0)) taker(undefined)
  }

  #cancelDelayed(key: K): void {
    this.#delayed.get(key)?.timer.cancel()
    this.#delayed.delete(key)
  }
}
