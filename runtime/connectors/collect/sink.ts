import { WeirError } from '#runtime/base/errors'
import { preview } from '#runtime/base/preview'
import type { Sink, SinkWriter } from '#runtime/connectors/sink'

export interface Collected<T> {
  /** Of the transaction; unique. */
  readonly name: string
  readonly records: readonly T[]
}

/**
 * Puts records into an array when their checkpoint commits; for tests in one thread. A commit that
 * is repeated adds nothing.
 */
export function collect<T>(into: T[]): Sink<T, Collected<T>> {
  if (!Array.isArray(into))
    throw new WeirError('CFG_GRAPH', `collect got ${preview(into)}. Expected the array to put records into.`)
  const committed = new Set<string>()
  return {
    description: 'collect',
    guarantee: 'exactly-once',
    createWriter(): SinkWriter<T, Collected<T>> {
      let name = ''
      let open: T[] = []
      return {
        begin(transaction) {
          name = JSON.stringify(transaction)
        },
        write(value) {
          open.push(value)
        },
        prepare() {
          const records = open
          open = []
          return Promise.resolve(records.length === 0 ? undefined : { name, records })
        },
        commit({ name: of, records }) {
          if (!committed.has(of)) into.push(...records)
          committed.add(of)
          return Promise.resolve('committed')
        },
        close() {},
      }
    },
  }
}
