import { notAPromise } from '#runtime/base/synchronous'
import { evolutionOf, type StateEvolution, type StateEvolutions } from '#runtime/state/evolution'
import type { StateTable } from '#runtime/state/keyed-state'
import { detach, type Aggregator } from '#runtime/state/aggregator'
import { PassThroughOperator } from './pass-through.ts'
import { RUNNING_TABLE } from './reduce.ts'
import type { OperatorContext } from './stream-operator.ts'

/** Running aggregate per key: emits `emit(key, result)` for each record. One look-up per record. */
export class AggregateOperator<K, T, A, R, O> extends PassThroughOperator<T, O> {
  readonly #keyOf: (value: T) => K
  readonly #aggregator: Aggregator<T, A, R>
  readonly #emit: (key: K, result: R) => O
  readonly evolutions: StateEvolutions
  #table!: StateTable<K, A>

  constructor(
    keyOf: (value: T) => K,
    aggregator: Aggregator<T, A, R>,
    emit: (key: K, result: R) => O,
    evolution: StateEvolution = evolutionOf(),
  ) {
    super()
    this.evolutions = { [RUNNING_TABLE]: { table: RUNNING_TABLE, evolution } }
    this.#keyOf = keyOf
    this.#aggregator = aggregator
    this.#emit = emit
  }

  override open(context: OperatorContext<O>): void {
    super.open(context)
    this.#table = context.keyed.table(RUNNING_TABLE)
  }

  override onRecord(value: T, timestamp: number): void {
    const table = this.#table
    const aggregator = this.#aggregator
    let result: O
    try {
      const key = notAPromise(this.#keyOf(value), 'keyBy returned')
      const cell = table.cell(key)
      const next = aggregator.add(table.read(cell) ?? aggregator.create(), value)
      table.write(cell, next)
      result = this.#emit(key, detach(aggregator.result(next), next))
    } catch (cause) {
      throw this.failed(cause, { record: value })
    }
    this.out.onRecord(result, timestamp)
  }
}
