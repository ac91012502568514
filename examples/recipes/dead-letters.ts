/**
 * Dead letters: lines that cannot be read, and records that cannot be processed, go to an output
 * of their own.
 *
 * Use it where one bad record must not stop the rest. Without it a bad line fails the job;
 * `onBadLine: 'skip'` only counts. What a step finds wrong later is no error but a second kind of
 * record: two filters part them.
 */
import { type BadLine, defineJob, files, sideOutput } from 'weir-stream'
import * as z from 'zod'

const payment = z.object({ card: z.string(), amount: z.number() })
type Payment = z.infer<typeof payment>
const bad = sideOutput<BadLine>('bad')

/** What cannot be processed although it could be read. */
const fault = ({ amount }: Payment): string | undefined => (amount > 0 ? undefined : `amount is ${amount}`)

export default defineJob(({ env, args }) => {
  const payments = env.source('payments', files.jsonl(args.input, { schema: payment, onBadLine: bad }))
  payments.filter((record) => fault(record) === undefined).sink('good', files.jsonl(args.output))
  payments.getSideOutput(bad).sink('bad-lines', files.jsonl(args.bad))
  payments
    .filter((record) => fault(record) !== undefined)
    .map((record) => ({ record, error: fault(record) }))
    .sink('bad-records', files.jsonl(args.bad))
})
