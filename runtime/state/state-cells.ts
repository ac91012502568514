import { DataCheck } from './data-check.ts'
import type { KeyedContext } from './keyed-context.ts'
import type { KeyedStateBackend, StateTable } from './keyed-state.ts'

/** The current key's place in one table. What the handles are made of. */
export interface StateCells<V> {
  read(): V | undefined
  /**
   * Reads, changes and writes with one look-up where that is possible. What `change` returns is
   * stored; it may be its mutated argument.
   */
  update(change: (value: V | undefined) => V): void
  write(value: V): void
  remove(): void
  /** Of a part of a value, such as an item of a list. @throws {JobFault} when it is not data */
  check(part: unknown): void
}

class PlainCells<V> implements StateCells<V> {
  readonly #table: StateTable<unknown, V>
  readonly #context: KeyedContext
  readonly #parts: DataCheck

  constructor(table: StateTable<unknown, V>, context: KeyedContext, parts: DataCheck) {
    this.#table = table
    this.#context = context
    this.#parts = parts
  }

  check(part: unknown): void {
    this.#parts.check(part)
  }

  read(): V | undefined {
    return this.#table.get(this.#context.keyInHand())
  }

  update(change: (value: V | undefined) => V): void {
    const cell = this.#table.cell(this.#context.keyInHand())
    this.#table.write(cell, change(this.#table.read(cell)))
  }

  write(value: V): void {
    this.#table.put(this.#context.keyInHand(), value)
  }

  remove(): void {
    this.#table.remove(this.#context.keyInHand())
  }
}

interface Expiry {
  readonly ttlMs: number
  readonly now: () => number
  readonly parts: DataCheck
}

/** Entries checked for expiry per write: enough to keep up with writes, too few to be felt. */
const SWEPT_PER_WRITE = 2

/**
 * Cells that expire. When, stands in a table beside the values, so that a ttl can be added to
 * state, or taken away, without touching what is stored; an entry from before has no expiry until
 * it is written again. An expired entry is never seen; it is removed when read, or by a sweep that
 * goes along with writes.
 */
class ExpiringCells<V> implements StateCells<V> {
  readonly #values: StateTable<unknown, V>
  readonly #expiries: StateTable<unknown, number>
  readonly #context: KeyedContext
  readonly #ttlMs: number
  readonly #now: () => number
  readonly #parts: DataCheck
  #sweep: Iterator<[unknown, number]> | undefined

  constructor(
    values: StateTable<unknown, V>,
    expiries: StateTable<unknown, number>,
    context: KeyedContext,
    { ttlMs, now, parts }: Expiry,
  ) {
    this.#values = values
    this.#expiries = expiries
    this.#context = context
    this.#ttlMs = ttlMs
    this.#now = now
    this.#parts = parts
  }

  check(part: unknown): void {
    this.#parts.check(part)
  }

  read(): V | undefined {
    const key = this.#context.keyInHand()
    return this.#removeIfExpired(key) ? undefined : this.#values.get(key)
  }

  update(change: (value: V | undefined) => V): void {
    this.write(change(this.read()))
  }

  write(value: V): void {
    const key = this.#context.keyInHand()
    this.#values.put(key, value)
    this.#expiries.put(key, this.#now() + this.#ttlMs)
    for (let i = 0; i < SWEPT_PER_WRITE; i++) this.#sweepOne()
  }

  remove(): void {
    const key = this.#context.keyInHand()
    this.#values.remove(key)
    this.#expiries.remove(key)
  }

  #removeIfExpired(key: unknown): boolean {
    const expiry = this.#expiries.get(key)
    if (expiry === undefined || expiry > this.#now()) return false
    this.#values.remove(key)
    this.#expiries.remove(key)
    return true
  }

  #sweepOne(): void {
    this.#sweep ??= this.#expiries.entries()
    const { done, value } = this.#sweep.next()
    if (done === true) this.#sweep = undefined
    else this.#removeIfExpired(value[0])
  }
}

/** Where the values of a process step's state lie. Part of the stored format. */
export const tableOfState = (name: string): string => `state:${name}`

/** The cells of state `name` of an operator. The tables' names are part of the stored format. */
export function stateCells<V>(
  backend: KeyedStateBackend,
  context: KeyedContext,
  name: string,
  ttl: { readonly ttlMs: number; readonly now: () => number } | undefined,
): StateCells<V> {
  const table = tableOfState(name)
  const values = backend.table<unknown, V>(table)
  const parts = new DataCheck(table)
  return ttl === undefined
    ? new PlainCells(values, context, parts)
    : new ExpiringCells(values, backend.table(`expiry:${name}`), context, { ...ttl, parts })
}
