import type { Sink, SinkWriter } from '#runtime/connectors/sink'

/**
 * Puts records into an array when their checkpoint commits; for tests in one thread. A commit that
 * is repeated adds nothing.
 */
export function collect<T>(into: T[]): Sink<T, { readonly name: string; readonly records: readonly T[] }> {
  const committed = new Set<string>()
  return {
    description: 'collect',
    guarantee: 'exactly-once',
    createWriter({
      uid,
      subtask,
      attempt,
    }): SinkWriter<T, { readonly name: string; readonly records: readonly T[] }> {
      let open: T[] = []
      return {
        recover() {},
        write(value) {
          open.push(value)
        },
        prepare(checkpointId) {
          const records = open
          open = []
          return Promise.resolve(
            records.length === 0
              ? undefined
              : { name: `${uid}/${subtask}/${attempt}/${checkpointId}`, records },
          )
        },
        commit({ name, records }) {
          if (!committed.has(name)) into.push(...records)
          committed.add(name)
          return Promise.resolve()
        },
        close() {},
      }
    },
  }
}
