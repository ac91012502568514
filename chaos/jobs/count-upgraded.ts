import { defineJob, files, type, valueState } from 'weir-stream'

interface Input {
  key: string
  id: number
  value: number
}
interface Counted extends Input {
  count: number
  sum: number
}

/** What jobs/count.ts is upgraded to: its state and output, by another graph. */
export default defineJob(({ env, args }) => {
  env
    .source('in', files.jsonl<Input>(args.input, { watch: args.watch }))
    .filter((record) => record.value > 0)
    .keyBy((record) => record.key)
    .process('count', {
      emits: type<Counted>(),
      state: { count: valueState(0), sum: valueState(0) },
      onRecord(record, { state, out }) {
        const count = state.count.get() + 1
        const sum = state.sum.get() + record.value
        state.count.set(count)
        state.sum.set(sum)
        out({ ...record, count, sum })
      },
    })
    .rebalance()
    .map('label', (counted) => ({ ...counted, version: 2 }))
    .sink('out', files.jsonl(args.output))
})
