import {
  boundedOutOfOrder,
  defineJob,
  generator,
  listState,
  mapState,
  sideOutput,
  tumbling,
  type,
  valueState,
} from '#runtime/index'
import type { Sink } from '#runtime/connectors/sink'
import type { JobDefinition } from '#runtime/graph/job-definition'

/** A line of output: record number `n` was the `seq`th of its key. */
export interface NumberRow {
  readonly key: string
  readonly seq: number
  readonly n: number
  /** The run that put it out. */
  readonly run: number
}

/** How many records of the key fell into the window. */
export interface WindowRow {
  readonly key: string
  readonly start: number
  readonly count: number
  readonly run: number
}

/** A record that came too late for its window. */
export interface LateRow {
  readonly key: string
  readonly late: number
  readonly run: number
}

export type Row = NumberRow | WindowRow | LateRow

export interface SimJobArgs {
  readonly count: number
  /** Records per second. */
  readonly rate: number
  readonly splits: number
  readonly keys: number
  readonly run: number
}

/** Event time between two numbers, and the size of a window. */
export const TICK_MS = 10
export const WINDOW_MS = 200
const RECENT = 4
/** Numbers that may come out of order before one is late. */
const DISORDER = 40

/** uid of a sink. */
export type SinkUid = 'numbers-out' | 'windows-out' | 'late-out'
export type SinkOf = (uid: SinkUid, run: number) => Sink<any>

export const keyOf = (n: number, keys: number): string => `key-${n % keys}`

/**
 * Counts numbers by key, with every kind of state kept beside the count and checked against it, and
 * by key and window. `sinkOf` makes the two sinks.
 */
export function simJob(sinkOf: SinkOf): JobDefinition {
  return defineJob(({ env, args }) => {
    const { count, rate, splits, keys, run } = args as unknown as SimJobArgs
    const numbers = env
      .source('numbers', generator({ count, rate, splits, make: (n: number) => n }))
      .assignTimestamps((n) => n * TICK_MS, boundedOutOfOrder(`${DISORDER * TICK_MS}ms`))
    numbers
      .keyBy((n) => keyOf(n, keys))
      .process('count', {
        emits: type<NumberRow>(),
        state: { count: valueState(0), recent: listState<number>(), byRest: mapState<string, number>() },
        onRecord(n, { key, state, out }) {
          const seq = state.count.get() + 1
          state.count.set(seq)
          const recent = [...state.recent.get(), n].slice(-RECENT)
          state.recent.set(recent)
          const rest = `rest-${n % 3}`
          state.byRest.put(rest, (state.byRest.get(rest) ?? 0) + 1)
          const sum = [...state.byRest.entries()].reduce((total, [, some]) => total + some, 0)
          if (sum !== seq || recent.length !== Math.min(seq, RECENT))
            throw new Error(
              `state of ${key} does not agree: ${seq} counted, ${sum} in the map, ${recent.length} recent`,
            )
          out({ key, seq, n, run })
        },
      })
      .sink('numbers-out', sinkOf('numbers-out', run))
    const late = sideOutput<number>('late')
    const windows = numbers
      .keyBy((n) => keyOf(n, keys))
      .window('windows', tumbling(`${WINDOW_MS}ms`), { lateTo: late })
      .count()
    windows
      .map(({ key, window, count: inWindow }): WindowRow => ({
        key,
        start: window.start,
        count: inWindow,
        run,
      }))
      .sink('windows-out', sinkOf('windows-out', run))
    windows
      .getSideOutput(late)
      .map((n): LateRow => ({ key: keyOf(n, keys), late: n, run }))
      .sink('late-out', sinkOf('late-out', run))
  })
}
