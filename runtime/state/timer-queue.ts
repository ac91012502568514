import { JobFault } from '#runtime/base/job-fault'
import { normalKey } from '#runtime/element/key-encoding'
import type { KeyedContext } from './keyed-context.ts'
import type { KeyedStateBackend, StateTable } from './keyed-state.ts'
import { TimerHeap } from './timer-heap.ts'

export interface DueTimer<K = unknown> {
  readonly key: K
  readonly time: number
  readonly name: string
}

/**
 * The timers of a key as stored: one unnamed timer is its time, others are [time, name] in the
 * order they were set.
 */
type StoredTimers = number | TimerList
type TimerList = readonly (readonly [time: number, name: string])[]

/** Stale heap entries that are not worth a rebuild. */
const SPARE_ENTRIES = 64

/**
 * Timers of one kind of time. The truth is a table of keyed state (so snapshots, restores and
 * rescaling come for free); the heap is an index over it, built when the queue is made.
 * I1 For each stored timer the heap has an entry. An entry without a stored timer is stale
 *    (deleted) and skipped when it comes up.
 * I2 At most one timer per (key, time, name).
 * I3 Timers that are due although their time is still to come for others (event time differs
 *    between key groups for a while) are also in `#overdue`.
 */
export class TimerQueue<K> {
  readonly #table: StateTable<K, StoredTimers>
  readonly #context: KeyedContext<K>
  readonly #heap = new TimerHeap<DueTimer<K>>()
  #overdue: DueTimer<K>[] = []
  #stored = 0

  /** After the backend was restored. `table` is part of the stored format. */
  constructor(backend: KeyedStateBackend, table: string, context: KeyedContext<K>) {
    this.#table = backend.table(table)
    this.#context = context
    this.#rebuild()
  }

  /** Timers set and not fired. */
  get size(): number {
    return this.#stored
  }

  /** The time of the earliest entry; a stale one counts. */
  get earliest(): number | undefined {
    return this.#heap.peek()?.time
  }

  /**
   * Sets a timer of the current key; setting it again changes nothing. `isOverdue`: it fires with
   * the next call of `fire`, whatever time that has come to.
   */
  set(time: number, name: string, isOverdue = false): void {
    checkTime(time)
    const stored = this.#ofCurrentKey()
    if (holds(stored, time, name)) return
    const key = normalKey(this.#context.keyInHand())
    this.#store(key, [...stored, [time, name]])
    this.#stored++
    this.#heap.push({ key, time, name })
    if (isOverdue) this.#overdue.push({ key, time, name })
  }

  /** Whether the current key has this timer. */
  isSet(time: number, name: string): boolean {
    checkTime(time)
    return holds(this.#ofCurrentKey(), time, name)
  }

  /** Timers for which this is true are overdue, as with `set`. */
  findOverdue(isOverdue: (timer: DueTimer<K>) => boolean): void {
    for (const timer of this.#all()) if (isOverdue(timer)) this.#overdue.push(timer)
  }

  /** Deletes a timer of the current key, if it is set. */
  delete(time: number, name: string): void {
    if (
      this.#take(this.#context.keyInHand(), time, name) &&
      this.#heap.size > 2 * this.#stored + SPARE_ENTRIES
    )
      this.#rebuild()
  }

  /**
   * Fires the timers up to `time` (inclusive), earliest first, those set on the way included, each
   * with the context set to its key; then those that are overdue. At most `budget` of them: false
   * when more are due.
   */
  fire(time: number, budget: number, onTimer: (timer: DueTimer<K>) => void): boolean {
    let left = budget
    for (;;) {
      const earliest = this.#heap.peek()
      const isDue = earliest !== undefined && earliest.time <= time
      const next = isDue ? earliest : this.#overdue[0]
      if (next === undefined) return true
      if (left === 0) return false
      if (isDue) this.#heap.pop()
      else this.#overdue.shift()
      if (!this.#take(next.key, next.time, next.name)) continue
      left--
      this.#context.setKey(next.key)
      onTimer(next)
    }
  }

  #ofCurrentKey(): TimerList {
    return list(this.#table.get(this.#context.keyInHand()))
  }

  #take(key: K, time: number, name: string): boolean {
    const stored = list(this.#table.get(key))
    const rest = stored.filter(([t, n]) => t !== time || n !== name)
    if (rest.length === stored.length) return false
    this.#store(key, rest)
    this.#stored--
    return true
  }

  #store(key: K, timers: TimerList): void {
    const [first] = timers
    if (first === undefined) this.#table.remove(key)
    else this.#table.put(key, timers.length === 1 && first[1] === '' ? first[0] : timers)
  }

  #rebuild(): void {
    this.#heap.clear()
    this.#stored = 0
    for (const timer of this.#all()) {
      this.#heap.push(timer)
      this.#stored++
    }
  }

  *#all(): Generator<DueTimer<K>> {
    for (const [key, stored] of this.#table.entries())
      for (const [time, name] of list(stored)) yield { key, time, name }
  }
}

function list(stored: StoredTimers | undefined): TimerList {
  return stored === undefined ? [] : typeof stored === 'number' ? [[stored, '']] : stored
}

const holds = (stored: TimerList, time: number, name: string): boolean =>
  stored.some(([t, n]) => t === time && n === name)

function checkTime(time: number): void {
  if (typeof time !== 'number' || Number.isNaN(time))
    throw new JobFault(`Cannot set a timer for ${String(time)}: expected milliseconds since the epoch.`)
}
