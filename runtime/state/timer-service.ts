import { keyGroupOf } from '#runtime/element/key-group'
import { MAX_WATERMARK } from '#runtime/element/receiver'
import { KeyGroupWatermarks } from '#runtime/time/key-group-watermarks'
import type { KeyedContext } from './keyed-context.ts'
import type { KeyedStateBackend } from './keyed-state.ts'
import { type DueTimer, TimerQueue } from './timer-queue.ts'

export type TimeDomain = 'event' | 'processing'

/** A timer that fires. `name` is '' when none was given. */
export interface FiredTimer<K = unknown> extends DueTimer<K> {
  readonly domain: TimeDomain
}

/**
 * Timers as user code sees them, always those of the current key. Times are milliseconds since the
 * epoch. A timer fires once, also across restarts; several of one key and time are told apart by
 * name; setting one again changes nothing. A time that has passed already fires at the next
 * opportunity.
 */
export interface Timers {
  /**
   * Event time, as far as it has come for the current key; -Infinity at the start, Infinity at its
   * end, when the data end or the job is drained.
   */
  readonly watermark: number
  /** Processing time. */
  now(): number
  /**
   * Fires when the watermark reaches `time`. At the end of event time every timer that is set
   * fires; one that is set after that, also by one that fires then, is dropped and counted.
   */
  setEventTimer(time: number, name?: string): void
  deleteEventTimer(time: number, name?: string): void
  /** Fires when the wall clock reaches `time`; after a restart, if that was missed, at once. */
  setProcessingTimer(time: number, name?: string): void
  deleteProcessingTimer(time: number, name?: string): void
}

/** Tables of an operator's timers; part of the stored format. */
const EVENT_TABLE = 'timers:event'
const PROCESSING_TABLE = 'timers:processing'

/**
 * The timers of an operator: made in `open`, after its keyed state was restored.
 * I1 Once event time has ended no event timer is set: one that sets its successor would fire for
 *    ever, for no watermark lies beyond it. (In Flink it does: InternalTimerServiceImpl takes
 *    timers from its queue until none is due.)
 */
export class TimerService<K = unknown> implements Timers {
  readonly #event: TimerQueue<K>
  readonly #processing: TimerQueue<K>
  readonly #now: () => number
  readonly #context: KeyedContext<K>
  readonly #maxParallelism: number
  readonly #watermarks: KeyGroupWatermarks
  #dropped = 0

  constructor(
    backend: KeyedStateBackend,
    context: KeyedContext<K>,
    now: () => number,
    watermarks = new KeyGroupWatermarks(backend.keyGroups),
  ) {
    this.#event = new TimerQueue(backend, EVENT_TABLE, context)
    this.#processing = new TimerQueue(backend, PROCESSING_TABLE, context)
    this.#now = now
    this.#context = context
    this.#maxParallelism = backend.maxParallelism
    this.#watermarks = watermarks
    if (!watermarks.isUniform) this.#event.findOverdue(({ key, time }) => time <= this.#watermarkOf(key))
  }

  get watermark(): number {
    return this.#watermarks.isUniform ? this.#watermarks.least : this.#watermarkOf(this.#context.key)
  }

  now(): number {
    return this.#now()
  }

  /** Timers set and not fired. */
  get size(): number {
    return this.#event.size + this.#processing.size
  }

  /** Event timers that came after the end of event time. */
  get dropped(): number {
    return this.#dropped
  }

  setEventTimer(time: number, name = ''): void {
    if (this.#watermarks.least === MAX_WATERMARK) {
      if (!this.#event.isSet(time, name)) this.#dropped++
      return
    }
    this.#event.set(time, name, !this.#watermarks.isUniform && time <= this.watermark)
  }

  deleteEventTimer(time: number, name = ''): void {
    this.#event.delete(time, name)
  }

  setProcessingTimer(time: number, name = ''): void {
    this.#processing.set(time, name)
  }

  deleteProcessingTimer(time: number, name = ''): void {
    this.#processing.delete(time, name)
  }

  /**
   * Event time has come to `watermark`: fires what is due, at most `budget` timers. False when more
   * are due: call again with the same watermark, barriers may pass in between, and forward the
   * watermark only after true.
   */
  advanceEventTime(watermark: number, onTimer: (timer: FiredTimer<K>) => void, budget = Infinity): boolean {
    this.#watermarks.advance(watermark)
    return this.fireEventTimers(onTimer, budget)
  }

  /** As advanceEventTime, with event time as it stands. */
  fireEventTimers(onTimer: (timer: FiredTimer<K>) => void, budget = Infinity): boolean {
    return this.#event.fire(this.#watermarks.least, budget, (timer) => onTimer({ ...timer, domain: 'event' }))
  }

  /** As advanceEventTime, by the wall clock. */
  advanceProcessingTime(now: number, onTimer: (timer: FiredTimer<K>) => void, budget = Infinity): boolean {
    return this.#processing.fire(now, budget, (timer) => onTimer({ ...timer, domain: 'processing' }))
  }

  /**
   * When to call advanceProcessingTime next at the latest; may be early. Undefined: no timer is
   * set.
   */
  get nextProcessingTime(): number | undefined {
    return this.#processing.earliest
  }

  #watermarkOf(key: K | undefined): number {
    if (key === undefined) return this.#watermarks.least
    return this.#watermarks.of(keyGroupOf(key, this.#maxParallelism))
  }
}
