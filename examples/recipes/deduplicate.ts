/**
 * Deduplication: the first record of each id; what comes again within a day is left out.
 *
 * Use it where the sender may send twice. The state of an id lives for a day after it was seen
 * first: without a `ttl` it would grow for ever.
 */
import { defineJob, files, type, valueState } from 'weir-stream'

export interface Message {
  readonly id: string
  readonly text: string
}

export default defineJob(({ env, args }) => {
  env
    .source('messages', files.jsonl<Message>(args.input))
    .keyBy((message) => message.id)
    .process('first', {
      emits: type<Message>(),
      state: { wasSeen: valueState(false, { ttl: '24h' }) },
      onRecord(message, { state, out }) {
        if (state.wasSeen.get()) return
        state.wasSeen.set(true)
        out(message)
      },
    })
    .sink('out', files.jsonl(args.output))
})
