import { refuseWrongOptions } from '#runtime/base/known-options'
import type { Refused } from '#runtime/base/refused'
import type { Sync } from '#runtime/base/synchronous'
import { parseDuration, type Duration } from '#runtime/base/units'
import type { PlanState } from '#runtime/contract/job-plan'
import type { Aggregator, SyncAggregator } from './aggregator.ts'
import { AggregatingState, ListState, MapState, ReducingState, ValueState } from './handles.ts'
import { EVOLUTION_OPTIONS, evolutionOf, items, mapValues, whole } from './evolution.ts'
import type { EvolutionOptions, Parts, StateEvolution } from './evolution.ts'
import { kindOf } from './state-shapes.ts'
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
  readonly evolution: StateEvolution
  /** Kind of the default value (`kindOf`), where there is one. */
  readonly holds: string | undefined
  readonly bind: (cells: StateCells<any>) => H
}

/** The descriptor of a state with handle `H`, where what it stores is data. */
export type Stored<V, H> = [Flaw<V>] extends [never]
  ? StateDescriptor<H>
  : Refused<'state is plain data: no functions, symbols, promises, or classes with methods'>

export type StateDescriptors = Readonly<Record<string, StateDescriptor<any>>>

/** As the plan says them. */
export const planStates = (declared: StateDescriptors = {}): PlanState[] =>
  Object.entries(declared).map(([name, { kind, formerly, holds, evolution }]) => ({
    name,
    kind,
    formerly,
    version: evolution.version,
    holds,
    schema: evolution.schema,
  }))

/** The handles that user code gets for its descriptors. */
export type StateHandles<D extends StateDescriptors> = {
  readonly [N in keyof D]: D[N] extends StateDescriptor<infer H> ? H : never
}

/** V: what is stored per key; of a list an item, of a map a value. */
export interface StateOptions<V = any> extends EvolutionOptions<V> {
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
  options: StateOptions<T>,
): Stored<T, ValueState<T, undefined>>
export function valueState<T>(
  defaultValue: T,
  options?: StateOptions<NoInfer<T>>,
): Stored<T, ValueState<T, T>>
export function valueState(defaultValue?: unknown, options?: StateOptions): unknown {
  const bind = (cells: StateCells<unknown>) => new ValueState(cells, defaultValue)
  return descriptor({ kind: 'value', parts: whole, holds: kindOfDefault(defaultValue), bind }, options)
}

/** A list per key. */
export function listState<T>(options?: StateOptions<T>): Stored<T, ListState<T>>
export function listState<T>(
  type: TypeWitness<T>,
  options?: StateOptions<NoInfer<T>>,
): Stored<T, ListState<T>>
export function listState(first?: TypeWitness<unknown> | StateOptions, second?: StateOptions): unknown {
  const bind = (cells: StateCells<any[]>) => new ListState(cells)
  return descriptor({ kind: 'list', parts: items, bind }, second ?? asOptions(first))
}

/**
 * A map per key. It is stored as one value: a change of an entry writes the key's whole map into
 * the next checkpoint.
 */
export function mapState<K, V>(options?: StateOptions<V>): Stored<K | V, MapState<K, V>>
export function mapState<K, V>(
  key: TypeWitness<K>,
  value: TypeWitness<V>,
  options?: StateOptions<NoInfer<V>>,
): Stored<K | V, MapState<K, V>>
export function mapState(
  first?: TypeWitness<unknown> | StateOptions,
  _value?: TypeWitness<unknown>,
  options?: StateOptions,
): unknown {
  const bind = (cells: StateCells<Map<any, any>>) => new MapState(cells)
  return descriptor({ kind: 'map', parts: mapValues, bind }, options ?? asOptions(first))
}

/** One value per key, to which `add` reduces. `reduce` may change and return its first argument. */
export function reducingState<T>(
  reduce: (reduced: T, value: T) => Sync<T>,
  options?: StateOptions<NoInfer<T>>,
): Stored<T, ReducingState<T>>
export function reducingState(
  reduce: (reduced: any, value: any) => unknown,
  options?: StateOptions,
): unknown {
  const bind = (cells: StateCells<any>) => new ReducingState(cells, reduce)
  return descriptor({ kind: 'reducing', parts: whole, bind }, options)
}

/** An accumulator per key, of which `get` gives the result. */
export function aggregatingState<T, A, R>(
  aggregator: SyncAggregator<T, A, R>,
  options?: StateOptions<NoInfer<A>>,
): Stored<A, AggregatingState<T, R>>
export function aggregatingState(
  aggregator: Omit<Aggregator<any, any, any>, 'merge'>,
  options?: StateOptions,
): unknown {
  const bind = (cells: StateCells<any>) => new AggregatingState(cells, aggregator)
  return descriptor({ kind: 'aggregating', parts: whole, bind }, options)
}

interface StateSpec<H> extends Pick<StateDescriptor<H>, 'kind' | 'bind'> {
  readonly parts: Parts
  readonly holds?: string | undefined
}

function descriptor<H>(
  { kind, parts, holds, bind }: StateSpec<H>,
  options: StateOptions = {},
): StateDescriptor<H> {
  refuseWrongOptions(`${kind}State`, options, OPTIONS)
  const { ttl, formerly = [] } = options
  const ttlMs = ttl === undefined ? undefined : parseDuration(ttl)
  return { kind, ttlMs, formerly, evolution: evolutionOf(options, parts), holds, bind }
}

const OPTIONS = ['ttl', 'formerly', ...EVOLUTION_OPTIONS]

/** Type witnesses have no members. */
function asOptions(first: unknown): StateOptions | undefined {
  return typeof first === 'object' && first !== null && Object.keys(first).length > 0 ? first : undefined
}

/** Nothing is said by a default that only stands for "nothing yet". */
const kindOfDefault = (value: unknown): string | undefined =>
  value === undefined || value === null ? undefined : kindOf(value)
