import { aStoredValue, notAPromise } from '#runtime/base/synchronous'
import { REDUCED } from '#runtime/state/aggregator'
import { evolutionOf, type StateEvolution, type StateEvolutions } from '#runtime/state/evolution'
import type { StateTable } from '#runtime/state/keyed-state'
import { PassThroughOperator } from './pass-through.ts'
import type { OperatorContext } from './stream-operator.ts'

/** Table of running values per key. Part of the stored format. */
export const RUNNING_TABLE = 'running'

/**
 * Running reduction per key: emits the reduced value for each record. The first record of a key is
 * its first value.
 */
export class ReduceOperator<K, T> extends PassThroughOperator<T, T> {
  readonly #keyOf: (value: T) => K
  readonly #reduce: (reduced: T, value: T) => T
  readonly evolutions: StateEvolutions
  #table!: StateTable<K, T>

  constructor(
    keyOf: (value: T) => K,
    reduce: (reduced: T, value: T) => T,
    evolution: StateEvolution = evolutionOf(),
  ) {
    super()
    this.evolutions = { [RUNNING_TABLE]: { table: RUNNING_TABLE, evolution } }
    this.#keyOf = keyOf
    this.#reduce = reduce
  }

  override open(context: OperatorContext<T>): void {
    super.open(context)
    this.#table = context.keyed.table(RUNNING_TABLE)
  }

  override onRecord(value: T, timestamp: number): void {
    const table = this.#table
    let next: T
    try {
      const cell = table.cell(notAPromise(this.#keyOf(value), 'keyBy returned'))
      const reduced = table.read(cell)
      next =
        reduced === undefined
          ? value
          : aStoredValue<T>(this.#reduce(reduced, value), 'reduce returned', REDUCED)
      table.write(cell, next)
    } catch (cause) {
      throw this.failed(cause, { record: value })
    }
    this.out.onRecord(next, timestamp)
  }
}
