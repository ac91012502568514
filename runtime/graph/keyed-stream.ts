import { WeirError } from '#runtime/base/errors'
import { preview } from '#runtime/base/preview'
import { member } from '#runtime/base/member'
import { refuseUnknownOptions, refuseWrongOptions } from '#runtime/base/known-options'
import { AggregateOperator } from '#runtime/operators/aggregate'
import {
  counting,
  greatest,
  least,
  summing,
  userRunningAggregator,
  type Aggregator,
  type SyncAggregator,
} from '#runtime/state/aggregator'
import { ProcessOperator, type ProcessFunctions } from '#runtime/operators/process'
import type { Sync } from '#runtime/base/synchronous'
import { RUNNING_TABLE, ReduceOperator } from '#runtime/operators/reduce'
import type { PlanState } from '#runtime/contract/job-plan'
import { parseDuration } from '#runtime/base/units'
import { planStates, type StateDescriptors } from '#runtime/state/descriptors'
import { evolutionOf, type StateEvolution } from '#runtime/state/evolution'
import { SlidingWindows } from '#runtime/time/window'
import type { DataStream } from './data-stream.ts'
import type { NodeSpec } from './logical-graph.ts'
import { checkSideOutput, type SideOutput } from '#runtime/element/side-output'
import { captureLocation } from './source-location.ts'
import { EVOLVING_OPTIONS, type EvolvingOptions, type StatefulOptions } from './step-options.ts'
import { checkFormerStates, checkFunctions, checkStates, checkUid } from './validate.ts'
import { WindowedStream, type WindowStepOptions } from './windowed-stream.ts'

export type StepSpec = NodeSpec & { readonly uid: string }

/** How a keyed stream adds its steps; keeps it independent of DataStream. */
export interface KeyedSteps {
  add(spec: StepSpec): DataStream<any>
  addWithSide(spec: StepSpec, side: SideOutput<any>): DataStream<any>
}

/**
 * An aggregate of one key so far; `add` may change and return its first argument. `merge` is needed
 * in windows only.
 */
export interface RunningAggregator<T, A, R> extends SyncAggregator<T, A, R> {
  merge?(a: A, b: A): Sync<A>
}

/** Steps of a keyed stream that keep state: each is named like the method that makes it. */
type StepKind = 'reduce' | 'count' | 'sum' | 'min' | 'max' | 'aggregate' | 'process'

interface StepCode {
  /** Of the user, by what they are to the method. */
  readonly functions: Readonly<Record<string, unknown>>
  readonly create: NodeSpec['create']
  /** What is declared under `state`. */
  readonly states?: StateDescriptors | undefined
  /** Of what it keeps per key; absent: that does not change its shape. */
  readonly evolution?: StateEvolution | undefined
}

interface Running<K, T, A, R, O> {
  readonly functions: StepCode['functions']
  readonly evolution?: StateEvolution
  readonly aggregator: Aggregator<T, A, R>
  readonly emit: (key: K, result: R) => O
}

/**
 * A stream partitioned by key. Its steps hold state per key; the first argument of each is its uid,
 * under which the state is found again after a restart, an upgrade or a change of parallelism.
 * Running steps emit one record for each record that comes in.
 */
export class KeyedStream<K, T> {
  readonly #keyOf: (value: T) => K
  readonly #steps: KeyedSteps

  /** Made by `keyBy`; not by users. */
  constructor(keyOf: (value: T) => K, steps: KeyedSteps) {
    this.#keyOf = keyOf
    this.#steps = steps
  }

  /**
   * Combines the records of a key; emits the value so far. `reduce` must not change its arguments:
   * they may still be on their way to other steps.
   */
  reduce(uid: string, reduce: (reduced: T, value: T) => T, options: EvolvingOptions<T> = {}): DataStream<T> {
    const keyOf = this.#keyOf
    const evolution = evolutionOf(options)
    return this.#step('reduce', uid, options, {
      functions: { 'the function': reduce },
      evolution,
      create: () => new ReduceOperator(keyOf, reduce, evolution),
    })
  }

  /** Counts the records of a key. */
  count(uid: string, options: StatefulOptions = {}): DataStream<{ key: K; count: number }> {
    return this.#running('count', uid, options, {
      functions: {},
      aggregator: counting,
      emit: (key, count) => ({ key, count }),
    })
  }

  /** Sums `of` over the records of a key. */
  sum(
    uid: string,
    of: (value: T) => number,
    options: StatefulOptions = {},
  ): DataStream<{ key: K; sum: number }> {
    return this.#running('sum', uid, options, {
      functions: { 'the function': of },
      aggregator: summing(of),
      emit: (key, sum) => ({ key, sum }),
    })
  }

  /** The least `of` of a key. */
  min(
    uid: string,
    of: (value: T) => number,
    options: StatefulOptions = {},
  ): DataStream<{ key: K; min: number }> {
    return this.#running('min', uid, options, {
      functions: { 'the function': of },
      aggregator: least(of),
      emit: (key, min) => ({ key, min }),
    })
  }

  /** The greatest `of` of a key. */
  max(
    uid: string,
    of: (value: T) => number,
    options: StatefulOptions = {},
  ): DataStream<{ key: K; max: number }> {
    return this.#running('max', uid, options, {
      functions: { 'the function': of },
      aggregator: greatest(of),
      emit: (key, max) => ({ key, max }),
    })
  }

  /** Aggregates the records of a key by user code. */
  aggregate<A, R>(
    uid: string,
    aggregator: RunningAggregator<T, A, R>,
    options: EvolvingOptions<NoInfer<A>> = {},
  ): DataStream<{ key: K; value: R }> {
    return this.#running('aggregate', uid, options, {
      evolution: evolutionOf(options),
      functions: functionsOf(aggregator, ['create', 'add', 'result']),
      aggregator: userRunningAggregator(aggregator),
      emit: (key, value) => ({ key, value }),
    })
  }

  /** User code with state and timers per key. */
  process<O = unknown, D extends StateDescriptors = {}>(
    uid: string,
    functions: ProcessFunctions<K, T, O, D>,
    options: StatefulOptions = {},
  ): DataStream<O> {
    const keyOf = this.#keyOf
    checkUid(uid, captureLocation(this.process))
    refuseUnknownOptions(`process "${uid}"`, functions, ['state', 'emits', 'onRecord', 'onTimer'])
    return this.#step('process', uid, options, {
      functions: functionsOf(functions, ['onRecord', ...('onTimer' in functions ? ['onTimer'] : [])]),
      states: functions.state,
      create: () => new ProcessOperator(keyOf, functions),
    })
  }

  /**
   * Groups by event-time windows made by `tumbling` or `sliding`. Needs timestamps:
   * `assignTimestamps` before `keyBy`.
   */
  window(uid: string, windows: SlidingWindows, options: WindowStepOptions<T> = {}): WindowedStream<K, T> {
    const location = captureLocation(this.window)
    checkUid(uid, location)
    refuseWrongOptions(`window "${uid}"`, options, ['formerly', 'allowedLateness', 'lateTo'])
    if (options.lateTo !== undefined) checkSideOutput(`window "${uid}": lateTo`, options.lateTo)
    if (!(windows instanceof SlidingWindows))
      throw new WeirError(
        'CFG_GRAPH',
        `${location}: window "${uid}" got no windows but ${preview(windows)}. ` +
          "Expected tumbling('1m') or sliding({ size: '1m', slide: '10s' }).",
      )
    const allowedLatenessMs =
      options.allowedLateness === undefined ? 0 : parseDuration(options.allowedLateness)
    return new WindowedStream({
      uid,
      location,
      keyOf: this.#keyOf,
      windows,
      allowedLatenessMs,
      options,
      steps: this.#steps,
    })
  }

  #running<A, R, O>(
    kind: StepKind,
    uid: string,
    options: StatefulOptions,
    { functions, aggregator, emit, evolution }: Running<K, T, A, R, O>,
  ): DataStream<O> {
    const keyOf = this.#keyOf
    return this.#step(kind, uid, options, {
      functions,
      evolution,
      create: () => new AggregateOperator(keyOf, aggregator, emit, evolution),
    })
  }

  #step(
    kind: StepKind,
    uid: string,
    options: StatefulOptions,
    { functions, states, evolution, create }: StepCode,
  ): DataStream<any> {
    const location = captureLocation(this[kind])
    checkUid(uid, location)
    if (kind !== 'count') checkFunctions(kind, functions, { uid, location })
    checkStates(states, uid, location)
    const declared = kind === 'process' ? planStates(states) : [runningState(kind, evolution)]
    checkFormerStates(declared, uid, location)
    refuseWrongOptions(`${kind} "${uid}"`, options, evolution && EVOLVING_OPTIONS)
    const spec = { uid, kind, stateful: true, formerly: options.formerly, location, create }
    // A process step may give its records any time.
    return this.#steps.add({ ...spec, states: declared, givesTimestamps: kind === 'process' })
  }
}

const runningState = (kind: StepKind, evolution?: StateEvolution): PlanState => ({
  name: RUNNING_TABLE,
  kind,
  formerly: [],
  version: evolution?.version ?? 1,
  schema: evolution?.schema,
})

/** Members of what a user gave, missing ones included. */
function functionsOf(given: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, member(given, name)]))
}
