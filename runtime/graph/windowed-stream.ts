import {
  counting,
  greatest,
  least,
  reducing,
  summing,
  userAggregator,
  type Aggregator,
  type SyncMergingAggregator,
} from '#runtime/state/aggregator'
import { refuseUnknownOptions } from '#runtime/base/known-options'
import { formatDuration, type Duration } from '#runtime/base/units'
import { PANES, WindowOperator } from '#runtime/operators/window'
import {
  EVOLUTION_OPTIONS,
  evolutionOf,
  items,
  type EvolutionOptions,
  type Parts,
  type StateEvolution,
} from '#runtime/state/evolution'
import type { SlidingWindows, Window } from '#runtime/time/window'
import type { DataStream } from './data-stream.ts'
import type { KeyedSteps } from './keyed-stream.ts'
import type { SideOutput } from '#runtime/element/side-output'
import { type StatefulOptions } from './step-options.ts'
import { checkFunctions } from './validate.ts'

export interface WindowStepOptions<T> extends StatefulOptions {
  /**
   * Records that come up to so much event time after the end of their window are still counted, and
   * the window's result is emitted again with them. Default "0ms".
   */
  readonly allowedLateness?: Duration
  /**
   * Where records go that are later than that; default: dropped and counted. Read it by
   * `getSideOutput` on the result.
   */
  readonly lateTo?: SideOutput<T>
}

/** What a window emits for a key. Timestamp of the record: `window.end - 1`. */
export type WindowResult<K, V> = { key: K; window: Window } & V

/** How a windowed stream is to be added; made by `keyBy(...).window(...)`. */
export interface WindowStep<K, T> {
  readonly uid: string
  readonly location: string
  readonly keyOf: (value: T) => K
  readonly windows: SlidingWindows
  readonly allowedLatenessMs: number
  readonly options: WindowStepOptions<T>
  readonly steps: KeyedSteps
}

/**
 * Records of a key grouped by event-time window. Each method emits one record for a key and window
 * when the watermark passes the window's end.
 */
export class WindowedStream<K, T> {
  readonly #step: WindowStep<K, T>

  constructor(step: WindowStep<K, T>) {
    this.#step = step
  }

  count(): DataStream<WindowResult<K, { count: number }>> {
    return this.#add('count', counting, (key, window, count) => ({ key, window, count }))
  }

  sum(of: (value: T) => number): DataStream<WindowResult<K, { sum: number }>> {
    this.#check('sum', { 'the function': of })
    return this.#add('sum', summing(of), (key, window, sum) => ({ key, window, sum }))
  }

  min(of: (value: T) => number): DataStream<WindowResult<K, { min: number }>> {
    this.#check('min', { 'the function': of })
    return this.#add('min', least(of), (key, window, min) => ({ key, window, min }))
  }

  max(of: (value: T) => number): DataStream<WindowResult<K, { max: number }>> {
    this.#check('max', { 'the function': of })
    return this.#add('max', greatest(of), (key, window, max) => ({ key, window, max }))
  }

  /** `reduce` must not change its arguments: a value is part of several windows. */
  reduce(
    reduce: (reduced: T, value: T) => T,
    options: EvolutionOptions<T> = {},
  ): DataStream<WindowResult<K, { value: T }>> {
    this.#check('reduce', { 'the function': reduce })
    const emit = (key: K, window: Window, value: T) => ({ key, window, value })
    return this.#add('reduce', reducing(reduce), emit, this.#evolution('reduce', options, items))
  }

  aggregate<A, R>(
    aggregator: SyncMergingAggregator<T, A, R>,
    options: EvolutionOptions<NoInfer<A>> = {},
  ): DataStream<WindowResult<K, { value: R }>> {
    const { create, add, merge, result } = aggregator
    this.#check('aggregate', { create, add, merge, result })
    const emit = (key: K, window: Window, value: R) => ({ key, window, value })
    return this.#add('aggregate', userAggregator(aggregator), emit, this.#evolution('aggregate', options))
  }

  #check(
    what: 'sum' | 'min' | 'max' | 'reduce' | 'aggregate',
    functions: Readonly<Record<string, unknown>>,
  ): void {
    checkFunctions(`window.${what}`, functions, this.#step)
  }

  #evolution(what: string, options: EvolutionOptions<any>, parts?: Parts): StateEvolution {
    refuseUnknownOptions(`window.${what} "${this.#step.uid}"`, options, EVOLUTION_OPTIONS)
    return evolutionOf(options, parts)
  }

  #add<A, R, O>(
    what: string,
    aggregator: Aggregator<T, A, R>,
    emit: (key: K, window: Window, result: R) => O,
    evolution: StateEvolution = evolutionOf(),
  ): DataStream<O> {
    const { version, schema } = evolution
    const { uid, location, keyOf, windows, allowedLatenessMs, options, steps } = this.#step
    const { lateTo } = options
    const late = lateTo === undefined ? undefined : (value: T) => lateTo.wrap(value) as O
    const how = { keyOf, windows, allowedLatenessMs, late }
    const spec = {
      uid,
      kind: 'window',
      stateful: true,
      givesTimestamps: true,
      states: [{ name: PANES, kind: kindOfPanes(what, windows), formerly: [], version, schema }],
      description: `${what} ${uid} by ${windows.kind} windows`,
      formerly: options.formerly,
      location,
      create: () => new WindowOperator({ ...how, aggregator, emit, evolution }),
    }
    return lateTo === undefined ? steps.add(spec) : steps.addWithSide(spec, lateTo)
  }
}

/** Panes of other times cannot be added up to the same windows. */
function kindOfPanes(what: string, { paneMs, offsetMs }: SlidingWindows): string {
  const offset = offsetMs % paneMs
  const from = offset === 0 ? '' : ` from ${formatDuration(offset)}`
  return `${what} by panes of ${formatDuration(paneMs)}${from}`
}
