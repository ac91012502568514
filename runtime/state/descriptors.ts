import { refuseWrongOptions } from '#runtime/base/known-options'
import type { Refused } from '#runtime/base/refused'
import type { Sync } from '#runtime/base/synchronous'
import { parseDuration, type Duration } from '#runtime/base/units'
import type { Aggregator, SyncAggregator } from './aggregator.ts'
import { AggregatingState, ListState, MapState, ReducingState, ValueState } from './handles.ts'
import type { StateCells } from './state-cells.ts'
import type { Flaw } from './storable.ts'

/**
 * What a job declares under `state: {...}` of a stateful step; `bindState` makes handles of it. The
 * names of the members name the tables in snapshots: one that is renamed says `formerly`.
 */
export interface StateDescriptor<H> {
  readonly kind: 'value' | 'list' | 'map' | 'reducing' | 'aggregating'
  /** Milliseconds of processing time after the last write; undefined: for ever. */
  readonly ttlMs: number | undefined
  /** Names that it had in earlier versions of the job. */
  readonly formerly: readonly string[]
  readonly bind: (cells: StateCells<any>) => H
}

/** The descriptor of a state with handle `H`, where what it stores is data. */
export type Stored<V, H> = [Flaw<V>] extends [never]
  ? StateDescriptor<H>
  : Refused<'state is plain data: no functions, symbols, promises, or classes with methods'>

export type StateDescriptors = Readonly<Record<string, StateDescriptor<any>>>

/** The handles that user code gets for its descriptors. */
export type StateHandles<D extends StateDescriptors> = {
  readonly [N in keyof D]: D[N] extends StateDescriptor<infer H> ? H : never
}

export interface StateOptions {
  /**
   * How long (processing time) a key's state lives after its last write, such as '24h'. Default:
   * for ever.
   */
  readonly ttl?: Duration
  /** Names that this state had before: what is stored under them is found again. */
  readonly formerly?: readonly string[]
}

/** Whatever says what T is, such as a declared row; only its type is used. */
export interface TypeWitness<T> {
  readonly __type?: T
}

/**
 * One value per key; `defaultValue` is what `get` gives before the first `set`. @throws {WeirError}
 * CFG_INVALID when the ttl is not a duration.
 */
export function valueState<T>(): Stored<T, ValueState<T, undefined>>
export function valueState<T>(
  defaultValue: undefined,
  options: StateOptions,
): Stored<T, ValueState<T, undefined>>
export function valueState<T>(defaultValue: T, options?: StateOptions): Stored<T, ValueState<T, T>>
export function valueState(defaultValue?: unknown, options?: StateOptions): unknown {
  return descriptor('value', options, (cells: StateCells<unknown>) => new ValueState(cells, defaultValue))
}

/** A list per key. */
export function listState<T>(options?: StateOptions): Stored<T, ListState<T>>
export function listState<T>(type: TypeWitness<T>, options?: StateOptions): Stored<T, ListState<T>>
export function listState(first?: TypeWitness<unknown> | StateOptions, second?: StateOptions): unknown {
  return descriptor('list', second ?? asOptions(first), (cells: StateCells<any[]>) => new ListState(cells))
}

/**
 * A map per key. It is stored as one value: a change of an entry writes the key's whole map into
 * the next checkpoint.
 */
export function mapState<K, V>(options?: StateOptions): Stored<K | V, MapState<K, V>>
export function mapState<K, V>(
  key: TypeWitness<K>,
  value: TypeWitness<V>,
  options?: StateOptions,
): Stored<K | V, MapState<K, V>>
export function mapState(
  first?: TypeWitness<unknown> | StateOptions,
  _value?: TypeWitness<unknown>,
  options?: StateOptions,
): unknown {
  return descriptor(
    'map',
    options ?? asOptions(first),
    (cells: StateCells<Map<any, any>>) => new MapState(cells),
  )
}

/** One value per key, to which `add` reduces. `reduce` may change and return its first argument. */
export function reducingState<T>(
  reduce: (reduced: T, value: T) => Sync<T>,
  options?: StateOptions,
): Stored<T, ReducingState<T>>
export function reducingState(
  reduce: (reduced: any, value: any) => unknown,
  options?: StateOptions,
): unknown {
  return descriptor('reducing', options, (cells: StateCells<any>) => new ReducingState(cells, reduce))
}

/** An accumulator per key, of which `get` gives the result. */
export function aggregatingState<T, A, R>(
  aggregator: SyncAggregator<T, A, R>,
  options?: StateOptions,
): Stored<A, AggregatingState<T, R>>
export function aggregatingState(
  aggregator: Omit<Aggregator<any, any, any>, 'merge'>,
  options?: StateOptions,
): unknown {
  return descriptor(
    'aggregating',
    options,
    (cells: StateCells<any>) => new AggregatingState(cells, aggregator),
  )
}

function descriptor<V, H>(
  kind: StateDescriptor<H>['kind'],
  options: StateOptions | undefined,
  bind: (cells: StateCells<V>) => H,
): StateDescriptor<H> {
  if (options !== undefined) refuseWrongOptions(`${kind}State`, options, ['ttl', 'formerly'])
  const ttlMs = options?.ttl === undefined ? undefined : parseDuration(options.ttl)
  return { kind, ttlMs, formerly: options?.formerly ?? [], bind }
}

/** Type witnesses have no members. */
function asOptions(first: unknown): StateOptions | undefined {
  return typeof first === 'object' && first !== null && ('ttl' in first || 'formerly' in first)
    ? (first as StateOptions)
    : undefined
}
