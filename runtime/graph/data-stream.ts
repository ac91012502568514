import { WeirError } from '#runtime/base/errors'
import { refuseWrongOptions } from '#runtime/base/known-options'
import { member } from '#runtime/base/member'
import { preview } from '#runtime/base/preview'
import type { Sync } from '#runtime/base/synchronous'
import type { Sink } from '#runtime/connectors/sink'
import type { KeyOf } from '#runtime/element/key'
import { AssignTimestampsOperator } from '#runtime/operators/assign-timestamps'
import { FilterOperator } from '#runtime/operators/filter'
import { FlatMapOperator } from '#runtime/operators/flat-map'
import { MapOperator } from '#runtime/operators/map'
import { SinkOperator } from '#runtime/operators/sink'
import type { WatermarkStrategy } from '#runtime/time/watermark-strategy'
import { KeyedStream, type StepSpec } from './keyed-stream.ts'
import type { GraphBuilder, NodeSpec, Upstream } from './logical-graph.ts'
import { checkSideOutput, type SideOutput } from '#runtime/element/side-output'
import { addSideBranches } from './side-branches.ts'
import { captureLocation } from './source-location.ts'
import type { StatefulOptions } from './step-options.ts'
import { checkConnector, checkFunctions, checkUid } from './validate.ts'

/** The end of a stream that can still be given its own parallelism. */
export interface StreamEnd {
  /** Subtasks of the sink; default: the job's parallelism. */
  setParallelism(parallelism: number): StreamEnd
}

/**
 * A stream of records of type T while the graph is built. Every method adds a step and returns the
 * stream behind it; a stream may be used several times. The functions given to it are called in
 * every subtask, one record at a time, in order within a subtask; they must be synchronous and must
 * not keep or change records that they pass on.
 */
export class DataStream<T> {
  readonly #builder: GraphBuilder
  readonly #upstreams: readonly Upstream[]
  readonly #sides: ReadonlyMap<SideOutput<any>, DataStream<any>>

  /** Made by `env.source` and by the steps; not by users. */
  constructor(
    builder: GraphBuilder,
    upstreams: readonly Upstream[],
    sides: ReadonlyMap<SideOutput<any>, DataStream<any>> = new Map(),
  ) {
    this.#builder = builder
    this.#upstreams = upstreams
    this.#sides = sides
  }

  /** One record in, one out. A uid is optional: the step has no state. */
  map<R>(fn: (value: T) => Sync<R>): DataStream<R>
  map<R>(uid: string, fn: (value: T) => Sync<R>): DataStream<R>
  map<R>(first: string | ((value: T) => Sync<R>), second?: (value: T) => Sync<R>): DataStream<R> {
    const { uid, fn, location } = stateless('map', this.map, first, second)
    return this.#step({ uid, kind: 'map', location, create: () => new MapOperator(fn) })
  }

  /** Keeps the records for which `fn` is true. */
  filter<S extends T>(fn: (value: T) => value is S): DataStream<S>
  filter(fn: (value: T) => boolean): DataStream<T>
  filter<S extends T>(uid: string, fn: (value: T) => value is S): DataStream<S>
  filter(uid: string, fn: (value: T) => boolean): DataStream<T>
  filter(first: string | ((value: T) => boolean), second?: (value: T) => boolean): DataStream<T> {
    const { uid, fn, location } = stateless('filter', this.filter, first, second)
    return this.#step({ uid, kind: 'filter', location, create: () => new FilterOperator(fn) })
  }

  /** One record in, any number out: what `fn` returns is walked once. */
  flatMap<R>(fn: (value: T) => Iterable<Sync<R>>): DataStream<R>
  flatMap<R>(uid: string, fn: (value: T) => Iterable<Sync<R>>): DataStream<R>
  flatMap<R>(
    first: string | ((value: T) => Iterable<Sync<R>>),
    second?: (value: T) => Iterable<Sync<R>>,
  ): DataStream<R> {
    const { uid, fn, location } = stateless('flatMap', this.flatMap, first, second)
    return this.#step({ uid, kind: 'flatMap', location, create: () => new FlatMapOperator(fn) })
  }

  /**
   * Gives each record its event time in milliseconds since the epoch, and makes watermarks by
   * `strategy`. Needed before event-time windows and timers.
   */
  assignTimestamps(timestampOf: (value: T) => number, strategy: WatermarkStrategy): DataStream<T> {
    const location = captureLocation(this.assignTimestamps)
    checkFunctions('assignTimestamps', { 'the first argument': timestampOf }, { location })
    if (typeof member(strategy, 'boundMs') !== 'number')
      throw new WeirError(
        'CFG_GRAPH',
        `${location}: assignTimestamps got no strategy but ${preview(strategy)}. ` +
          "Expected boundedOutOfOrder('10s') or monotonous().",
      )
    return this.#step({
      kind: 'assignTimestamps',
      location,
      givesTimestamps: true,
      create: () => new AssignTimestampsOperator(timestampOf, strategy),
    })
  }

  /**
   * Partitions by key: all records of a key are handled by one subtask, which holds the key's
   * state.
   */
  keyBy<K>(keyOf: (value: T) => KeyOf<K>): KeyedStream<K, T> {
    checkFunctions('keyBy', { 'its argument': keyOf }, { location: captureLocation(this.keyBy) })
    const upstreams = this.#upstreams.map(({ node }): Upstream => ({ node, partition: 'hash', keyOf }))
    return new KeyedStream<K, T>(keyOf as (value: T) => K, {
      add: (spec) => new DataStream(this.#builder, [this.#add(spec, upstreams)]),
      addWithSide: (spec, side) => this.#addWithSide(spec, upstreams, side),
    })
  }

  /** The records of all these streams, in no particular order between them. */
  union(...others: readonly DataStream<T>[]): DataStream<T> {
    const wrong: unknown = others.find((other: unknown) => !(other instanceof DataStream))
    if (wrong !== undefined)
      throw new WeirError(
        'CFG_GRAPH',
        `${captureLocation(this.union)}: union got ` +
          `${wrong instanceof KeyedStream ? 'a keyed stream' : preview(wrong)}. ` +
          'Expected streams: unite them first, then call keyBy.',
      )
    return new DataStream<T>(this.#builder, [...this.#upstreams, ...others.flatMap((o) => o.#upstreams)])
  }

  /** Deals records out evenly over the subtasks of the next step. */
  rebalance(): DataStream<T> {
    return new DataStream<T>(
      this.#builder,
      this.#upstreams.map(({ node }) => ({ node, partition: 'rebalance' })),
    )
  }

  /** Subtasks of the step just made; default: the job's parallelism. */
  setParallelism(parallelism: number): this {
    const [only] = this.#upstreams
    if (only === undefined || this.#upstreams.length > 1)
      throw new WeirError(
        'CFG_GRAPH',
        `${captureLocation(this.setParallelism)}: a union is not a step and has no parallelism of ` +
          'its own. Set it on the streams that are united.',
      )
    this.#builder.setParallelism(only.node, parallelism)
    return this
  }

  /**
   * The side output of the step just made, such as the late records of a window or the bad lines of
   * a source. @throws {WeirError} CFG_GRAPH when that step does not write to it.
   */
  getSideOutput<L>(side: SideOutput<L>): DataStream<L> {
    const location = captureLocation(this.getSideOutput)
    checkSideOutput(`${location}: what getSideOutput got`, side)
    const stream = this.#sides.get(side)
    if (stream === undefined)
      throw new WeirError(
        'CFG_GRAPH',
        `${location}: the step before it does not write to side output "${side.name}". Call it on the ` +
          'result of the window that names it in lateTo, or of the source that names it in onBadLine.',
      )
    return stream
  }

  /** Ends a stream. `uid` names the sink's state: its open transactions. */
  sink(uid: string, sink: Sink<T>, options: StatefulOptions = {}): StreamEnd {
    const location = captureLocation(this.sink)
    checkUid(uid, location)
    checkConnector(`${location}: sink "${uid}"`, 'sink', sink)
    refuseWrongOptions(`${location}: sink "${uid}"`, options)
    const { node } = this.#add(
      {
        uid,
        kind: 'sink',
        stateful: true,
        description: `write ${sink.description}`,
        formerly: options.formerly,
        guarantee: sink.guarantee,
        location,
        create: () => new SinkOperator(sink),
      },
      this.#upstreams,
    )
    const builder = this.#builder
    const end: StreamEnd = {
      setParallelism(parallelism) {
        builder.setParallelism(node, parallelism)
        return end
      },
    }
    return end
  }

  #step<R>(spec: NodeSpec): DataStream<R> {
    return new DataStream<R>(this.#builder, [this.#add(spec, this.#upstreams)])
  }

  #add(spec: NodeSpec, upstreams: readonly Upstream[]): Upstream {
    return { node: this.#builder.add(spec, upstreams), partition: 'forward' }
  }

  #addWithSide<R>(spec: StepSpec, upstreams: readonly Upstream[], side: SideOutput<any>): DataStream<R> {
    const { uid, location } = spec
    const { node } = this.#add(spec, upstreams)
    const branches = addSideBranches(this.#builder, { node, uid, location }, side)
    const sides = new Map([[side, new DataStream<any>(this.#builder, [branches.side])]])
    return new DataStream<R>(this.#builder, [branches.main], sides)
  }
}

function stateless<F>(
  name: string,
  method: (...args: any[]) => unknown,
  first: string | F,
  second: F | undefined,
) {
  const location = captureLocation(method)
  const uid = typeof first === 'string' ? first : undefined
  if (uid !== undefined) checkUid(uid, location)
  const fn = typeof first === 'string' ? second : first
  if (typeof fn !== 'function')
    throw new WeirError(
      'CFG_GRAPH',
      `${location}: ${name} got no function. Expected ${name}(fn) or ${name}(uid, fn).`,
    )
  return { uid, fn: fn as F, location }
}
