/**
 * Top N: the three best-selling items of each category, each minute.
 *
 * Use it where a window's result is a ranking. A first window counts each item; its results all
 * have the time of the window's end, so a timer at that end finds all of them in the state of the
 * category.
 */
import { boundedOutOfOrder, defineJob, files, mapState, tumbling, type } from 'weir-stream'

interface Sale {
  readonly category: string
  readonly item: string
  /** Milliseconds since the epoch. */
  readonly at: number
}
interface Counted {
  readonly item: string
  readonly count: number
}
const N = 3

export default defineJob(({ env, args }) => {
  env
    .source('sales', files.jsonl<Sale>(args.input))
    .assignTimestamps((sale) => sale.at, boundedOutOfOrder('5s'))
    .keyBy(({ category, item }) => [category, item] as const)
    .window('per-item', tumbling('1m'))
    .count()
    .keyBy(({ key: [category] }) => category)
    .process('top', {
      emits: type<{ category: string; from: string; top: readonly Counted[] }>(),
      state: { counts: mapState<number, readonly Counted[]>() },
      onRecord({ key: [, item], window, count }, { state, timers }) {
        state.counts.put(window.start, [...(state.counts.get(window.start) ?? []), { item, count }])
        timers.setEventTimer(window.end)
      },
      onTimer({ key, time }, { state, out }) {
        const start = time - 60_000
        const counts = state.counts.get(start) ?? []
        const best = counts.toSorted((a, b) => b.count - a.count || (a.item < b.item ? -1 : 1))
        out({ category: key, from: new Date(start).toISOString(), top: best.slice(0, N) })
        state.counts.remove(start)
      },
    })
    .sink('ranking', files.jsonl(args.output))
})
