/**
 * State as user code sees it, always that of the current key. What `get` gives is the stored
 * object: change it only together with a `set`, `put` or `add` in the same call, and keep no
 * reference to it beyond the call.
 */
import { JobFault } from '#runtime/base/job-fault'
import { preview } from '#runtime/base/preview'
import { aStoredValue, notAPromise } from '#runtime/base/synchronous'
import { normalKey } from '#runtime/element/key-encoding'
import { ACCUMULATOR, REDUCED, type Aggregator } from './aggregator.ts'
import { deepCopy } from './deep-copy.ts'
import type { StateDescriptors, StateHandles } from './descriptors.ts'
import type { KeyedContext } from './keyed-context.ts'
import type { KeyedStateBackend } from './keyed-state.ts'
import { stateCells, type StateCells } from './state-cells.ts'

/** `D` is what `get` gives when nothing is stored. */
export class ValueState<T, D = undefined> {
  readonly #cells: StateCells<T>
  readonly #defaultValue: D

  constructor(cells: StateCells<T>, defaultValue: D) {
    this.#cells = cells
    this.#defaultValue = defaultValue
  }

  get(): T | D {
    const value = this.#cells.read()
    return value === undefined ? deepCopy(this.#defaultValue) : value
  }

  set(value: T): void {
    this.#cells.write(notAPromise(value, 'set was given'))
  }

  clear(): void {
    this.#cells.remove()
  }
}

export class ListState<T> {
  readonly #cells: StateCells<T[]>

  constructor(cells: StateCells<T[]>) {
    this.#cells = cells
  }

  /** In the order in which they were added; empty when there are none. */
  get(): readonly T[] {
    return this.#cells.read() ?? []
  }

  add(value: T): void {
    this.#cells.check(notAPromise(value, 'add was given'))
    this.#cells.update((list = []) => {
      list.push(value)
      return list
    })
  }

  addAll(values: Iterable<T>): void {
    for (const value of values) this.add(value)
  }

  /** Replaces the list. */
  set(values: Iterable<T>): void {
    this.#cells.write([...values])
  }

  clear(): void {
    this.#cells.remove()
  }
}

/**
 * Its keys are primitive values: a Map tells objects apart by identity, which no checkpoint keeps.
 * Strings are those that come back from a checkpoint: with U+FFFD for a lone surrogate.
 */
export class MapState<K, V> {
  readonly #cells: StateCells<Map<K, V>>

  constructor(cells: StateCells<Map<K, V>>) {
    this.#cells = cells
  }

  get size(): number {
    return this.#cells.read()?.size ?? 0
  }

  get(key: K): V | undefined {
    return this.#cells.read()?.get(mapKey(key))
  }

  has(key: K): boolean {
    return this.#cells.read()?.has(mapKey(key)) ?? false
  }

  put(key: K, value: V): void {
    this.#cells.check(notAPromise(value, 'put was given'))
    const name = mapKey(key)
    this.#cells.update((map = new Map()) => map.set(name, value))
  }

  remove(key: K): void {
    const map = this.#cells.read()
    if (map?.delete(mapKey(key)) !== true) return
    if (map.size === 0) this.#cells.remove()
    else this.#cells.write(map)
  }

  /** In the order in which keys were first put. */
  entries(): IterableIterator<[K, V]> {
    return (this.#cells.read() ?? new Map<K, V>()).entries()
  }

  keys(): IterableIterator<K> {
    return (this.#cells.read() ?? new Map<K, V>()).keys()
  }

  values(): IterableIterator<V> {
    return (this.#cells.read() ?? new Map<K, V>()).values()
  }

  clear(): void {
    this.#cells.remove()
  }
}

function mapKey<K>(key: K): K {
  if (typeof key === 'string') return normalKey(key)
  if ((typeof key !== 'object' || key === null) && typeof key !== 'function' && typeof key !== 'symbol')
    return key
  throw new JobFault(
    `a mapState was used with the key ${preview(key)}. ` +
      'Expected a string, number, boolean, bigint or null, such as JSON.stringify of an object.',
  )
}

export class ReducingState<T> {
  readonly #cells: StateCells<T>
  readonly #reduce: (reduced: T, value: T) => T

  constructor(cells: StateCells<T>, reduce: (reduced: T, value: T) => T) {
    this.#cells = cells
    this.#reduce = reduce
  }

  /** Undefined before the first `add`. */
  get(): T | undefined {
    return this.#cells.read()
  }

  /** The first value is stored as it is. */
  add(value: T): void {
    this.#cells.update((reduced) =>
      reduced === undefined
        ? value
        : aStoredValue<T>(this.#reduce(reduced, value), 'reduce returned', REDUCED),
    )
  }

  clear(): void {
    this.#cells.remove()
  }
}

export class AggregatingState<T, R> {
  readonly #cells: StateCells<any>
  readonly #aggregator: Omit<Aggregator<T, any, R>, 'merge'>

  constructor(cells: StateCells<any>, aggregator: Omit<Aggregator<T, any, R>, 'merge'>) {
    this.#cells = cells
    this.#aggregator = aggregator
  }

  /** Undefined before the first `add`. */
  get(): R | undefined {
    const accumulator: unknown = this.#cells.read()
    return accumulator === undefined
      ? undefined
      : notAPromise(this.#aggregator.result(accumulator), 'result returned')
  }

  add(value: T): void {
    this.#cells.update((accumulator: unknown = this.#aggregator.create()) =>
      aStoredValue(
        this.#aggregator.add(aStoredValue(accumulator, 'create returned', ACCUMULATOR), value),
        'add returned',
        ACCUMULATOR,
      ),
    )
  }

  clear(): void {
    this.#cells.remove()
  }
}

/**
 * The handles for `descriptors`, over the tables of `backend`, for whatever key `context` is set
 * to. `now`: wall clock, for ttl.
 */
export function bindState<D extends StateDescriptors>(
  descriptors: D,
  backend: KeyedStateBackend,
  context: KeyedContext<any>,
  now: () => number,
): StateHandles<D> {
  const handles: Record<string, unknown> = {}
  for (const [name, { ttlMs, bind }] of Object.entries(descriptors))
    handles[name] = bind(stateCells(backend, context, name, ttlMs === undefined ? undefined : { ttlMs, now }))
  return handles as StateHandles<D>
}
