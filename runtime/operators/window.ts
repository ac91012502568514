import { notAPromise } from '#runtime/base/synchronous'
import { JobFault } from '#runtime/base/job-fault'
import { canonicalKey } from '#runtime/element/key-encoding'
import { keyGroupOf } from '#runtime/element/key-group'
import { evolutionOf, type StateEvolution, type StateEvolutions } from '#runtime/state/evolution'
import type { StateTable } from '#runtime/state/keyed-state'
import { detach, type Aggregator } from '#runtime/state/aggregator'
import { KeyGroupWatermarks, type KeyGroupWatermark } from '#runtime/time/key-group-watermarks'
import type { SlidingWindows, Window } from '#runtime/time/window'
import { PassThroughOperator } from './pass-through.ts'
import type { OperatorContext } from './stream-operator.ts'

/** Accumulators by pane start (the namespace) and key. Part of the stored format. */
export const PANES = 'panes'
const NEVER = Infinity

export interface WindowOptions<K, T, A, R, O> {
  readonly keyOf: (value: T) => K
  readonly windows: SlidingWindows
  /**
   * Records later than their window's end by up to this are still counted, and the window's result
   * is emitted again.
   */
  readonly allowedLatenessMs: number
  readonly aggregator: Aggregator<T, A, R>
  readonly emit: (key: K, window: Window, result: R) => O
  /**
   * Makes the record that leaves for a late one; undefined: late records are dropped and counted.
   */
  readonly late: ((value: T) => O) | undefined
  /** Of the accumulators; default: they have never changed. */
  readonly evolution?: StateEvolution
}

/**
 * Event-time windows per key, by panes: a record is added to one pane, a window merges its panes
 * when the watermark reaches its end - 1. Results have timestamp end - 1.
 * I1 A window fires once when the watermark passes its end, then again for each late record that is
 *    still allowed.
 * I2 A pane is dropped when no window can use it any more: last end - 1 + allowed lateness <=
 *    watermark.
 * I3 The watermark is kept and stored per key group: after a restore, at any parallelism, no window
 *    fires a second time for a key, and what was late for it stays late. While all groups have the
 *    same watermark, this costs nothing per record. The end of event time fires windows early, so
 *    to speak: where a job goes on from a drained or finished one, later records of such a window
 *    make another result of it, of those records alone.
 */
export class WindowOperator<K, T, A, R, O> extends PassThroughOperator<T, O> {
  readonly #options: WindowOptions<K, T, A, R, O>
  readonly evolutions: StateEvolutions
  #context!: OperatorContext<O>
  #watermarks!: KeyGroupWatermarks
  /** Watermark at which a window has to fire or a pane can be dropped. */
  #dueAt = NEVER
  /** The pane that the following fields are of; NaN: none. */
  #pane = NaN
  #paneTable: StateTable<K, A> | undefined
  /** Event time of the key group in hand. */
  #paneWatermark = NaN
  #paneIsLate = false
  #paneHasFired = false

  constructor(options: WindowOptions<K, T, A, R, O>) {
    super()
    this.#options = options
    this.evolutions = { [PANES]: { table: PANES, evolution: options.evolution ?? evolutionOf() } }
  }

  override open(context: OperatorContext<O>): void {
    super.open(context)
    this.#context = context
    const { restored } = context.listState<KeyGroupWatermark>('watermarks', 'union', () =>
      this.#watermarks.snapshot(),
    )
    this.#watermarks = new KeyGroupWatermarks(context.keyed.keyGroups, restored)
    for (const pane of context.keyed.namespaces(PANES)) this.#dueAt = Math.min(this.#dueAt, this.#dueOf(pane))
  }

  override onRecord(value: T, timestamp: number): void {
    const { windows, aggregator, keyOf, late } = this.#options
    const pane = windows.paneStart(timestamp)
    if (pane !== this.#pane) this.#selectPane(pane, timestamp, value)
    if (this.#paneIsLate) {
      if (late === undefined) this.#context.counters.lateDropped++
      else this.out.onRecord(late(value), timestamp)
      return
    }
    const table = this.#paneTable as StateTable<K, A>
    let key: K
    try {
      key = notAPromise(keyOf(value), 'keyBy returned')
      const cell = table.cell(key)
      table.write(cell, aggregator.add(table.read(cell) ?? aggregator.create(), value))
    } catch (cause) {
      throw this.failed(cause, { record: value })
    }
    if (this.#paneHasFired) this.#fireAgain(key, pane)
  }

  override onWatermark(watermark: number): void {
    if (watermark > this.#watermarks.least) {
      const isDue = watermark >= this.#dueAt
      if (isDue) this.#fireUpTo(watermark)
      this.#watermarks.advance(watermark)
      if (isDue) this.#dropPanes()
      this.#pane = NaN
    }
    this.out.onWatermark(watermark)
  }

  /**
   * What follows from pane and watermark alone is found out once for a run of records of one pane;
   * for each record while key groups differ in their watermarks.
   */
  #selectPane(pane: number, timestamp: number, value: T): void {
    if (!Number.isFinite(timestamp))
      throw this.failed(
        new JobFault(
          'the window got a record without a timestamp. ' +
            'Call assignTimestamps(record => milliseconds, strategy) before keyBy.',
        ),
        { record: value },
      )
    const { windows, allowedLatenessMs } = this.#options
    const isUniform = this.#watermarks.isUniform
    this.#pane = isUniform ? pane : NaN
    this.#paneWatermark = isUniform ? this.#watermarks.least : this.#watermarkOf(value)
    this.#paneIsLate = windows.lastEndOfPane(pane) - 1 + allowedLatenessMs <= this.#paneWatermark
    this.#paneHasFired = false
    if (this.#paneIsLate) return
    this.#paneHasFired =
      allowedLatenessMs > 0 && windows.windowEndsOfPane(pane).some((end) => this.#isOpenAfterFiring(end))
    this.#paneTable = this.#context.keyed.table<K, A>(PANES, pane)
    this.#dueAt = Math.min(this.#dueAt, this.#dueOf(pane))
  }

  #watermarkOf(value: T): number {
    try {
      return this.#watermarks.of(this.#keyGroupOf(notAPromise(this.#options.keyOf(value), 'keyBy returned')))
    } catch (cause) {
      throw this.failed(cause, { record: value })
    }
  }

  #keyGroupOf(key: K): number {
    return keyGroupOf(key, this.#context.keyed.maxParallelism)
  }

  /** For the key group in hand. */
  #isOpenAfterFiring(end: number): boolean {
    const watermark = this.#paneWatermark
    return end - 1 <= watermark && end - 1 + this.#options.allowedLatenessMs > watermark
  }

  /**
   * The next watermark at which this pane's next window fires for a key, or the pane can be
   * dropped.
   */
  #dueOf(pane: number): number {
    const { windows, allowedLatenessMs } = this.#options
    const next = windows.windowEndsOfPane(pane).find((end) => end - 1 > this.#watermarks.least)
    return next === undefined ? windows.lastEndOfPane(pane) - 1 + allowedLatenessMs : next - 1
  }

  #fireUpTo(watermark: number): void {
    const { windows } = this.#options
    const before = this.#watermarks.least
    const ends = new Set<number>()
    for (const pane of this.#context.keyed.namespaces(PANES))
      for (const end of windows.windowEndsOfPane(pane))
        if (end - 1 > before && end - 1 <= watermark) ends.add(end)
    for (const end of [...ends].sort((a, b) => a - b)) this.#fire(end)
  }

  #dropPanes(): void {
    const { windows, allowedLatenessMs } = this.#options
    const { keyed } = this.#context
    this.#dueAt = NEVER
    for (const pane of keyed.namespaces(PANES))
      if (windows.lastEndOfPane(pane) - 1 + allowedLatenessMs <= this.#watermarks.least)
        keyed.dropNamespace(PANES, pane)
      else this.#dueAt = Math.min(this.#dueAt, this.#dueOf(pane))
  }

  #fire(end: number): void {
    const { windows } = this.#options
    const tables = this.#tablesOf(end)
    const window = { start: end - windows.sizeMs, end }
    const [only] = tables
    const { isUniform } = this.#watermarks
    if (only !== undefined && tables.length === 1 && isUniform) {
      for (const [key, accumulator] of only.entries()) this.#emit(key, window, accumulator)
      return
    }
    for (const { key, accumulator } of this.#merge(tables, window))
      if (isUniform || this.#watermarks.of(this.#keyGroupOf(key)) < end - 1)
        this.#emit(key, window, accumulator)
  }

  #emit(key: K, window: Window, accumulator: A): void {
    const { aggregator, emit } = this.#options
    let result: O
    try {
      result = emit(key, window, detach(aggregator.result(accumulator), accumulator))
    } catch (cause) {
      throw this.failed(cause, { window: { key, window, accumulator } })
    }
    this.out.onRecord(result, window.end - 1)
  }

  /**
   * A late record that is still allowed: the windows that have fired already and hold it fire
   * again, for its key.
   */
  #fireAgain(key: K, pane: number): void {
    const { windows } = this.#options
    for (const end of windows.windowEndsOfPane(pane)) {
      if (!this.#isOpenAfterFiring(end)) continue
      const window = { start: end - windows.sizeMs, end }
      const accumulators = this.#tablesOf(end).map((table) => table.get(key))
      const present = accumulators.filter((accumulator) => accumulator !== undefined)
      this.#emit(key, window, this.#mergeAll({ key, window }, present))
    }
  }

  /** Asks only for panes that exist: asking for another would make it. */
  #tablesOf(end: number): StateTable<K, A>[] {
    const { keyed } = this.#context
    const start = end - this.#options.windows.sizeMs
    const panes = keyed.namespaces(PANES).filter((pane) => pane >= start && pane < end)
    return panes.map((pane) => keyed.table<K, A>(PANES, pane))
  }

  #merge(tables: readonly StateTable<K, A>[], window: Window): Iterable<{ readonly key: K; accumulator: A }> {
    const merged = new Map<unknown, { readonly key: K; accumulator: A }>()
    for (const table of tables)
      for (const [key, accumulator] of table.entries()) {
        const identity = typeof key === 'object' && key !== null ? `\0${canonicalKey(key)}` : key
        const entry = merged.get(identity)
        const place = { key, window }
        if (entry === undefined)
          merged.set(identity, { key, accumulator: this.#mergeAll(place, [accumulator]) })
        else entry.accumulator = this.#mergeAll(place, [accumulator], entry.accumulator)
      }
    return merged.values()
  }

  /**
   * Never gives a pane's own accumulator back: the next merge may change it, and other windows
   * still need it.
   */
  #mergeAll(place: { readonly key: K; readonly window: Window }, accumulators: readonly A[], into?: A): A {
    const { aggregator } = this.#options
    try {
      let merged = into === undefined ? aggregator.create() : into
      for (const accumulator of accumulators)
        merged = detach(aggregator.merge(merged, accumulator), accumulator)
      return merged
    } catch (cause) {
      throw this.failed(cause, { window: place })
    }
  }
}
