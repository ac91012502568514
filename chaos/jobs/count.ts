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

/** For each record: how many of its key there were so far, and the sum of their values. */
export default defineJob(({ env, args }) => {
  env
    .source('in', files.jsonl<Input>(args.input, { watch: args.watch }))
    .keyBy((record) => record.key)
    .process('count', {
      emits: type<Counted>(),
      state: { count: valueState(0), sum: valueState(0) },
      onRecord(record, { state, out }) {
        state.count.set(state.count.get() + 1)
        state.sum.set(state.sum.get() + record.value)
        out({ ...record, count: state.count.get(), sum: state.sum.get() })
      },
    })
    .sink('out', files.jsonl(args.output))
})
