/**
 * State that changes: a step that stored the sum of a card's payments now stores their number too,
 * under another name.
 *
 * Use it when a job with state gets a new version. `formerly` says where the stored value is
 * found; what is in it is the job's own, so the function reads the old shape as well as the new
 * one. `weir plan job.ts --from CHECKPOINT` says whether everything stored finds its place.
 */
import { defineJob, files, type, valueState } from 'weir-stream'

interface Payment {
  readonly card: string
  readonly amount: number
}
export interface Spending {
  readonly sum: number
  readonly count: number
}

/** The earlier version stored the sum alone, as `total`; the number of payments is not known. */
export const spendingOf = (stored: number | Spending): Spending =>
  typeof stored === 'number' ? { sum: stored, count: 0 } : stored

export default defineJob(({ env, args }) => {
  env
    .source('payments', files.jsonl<Payment>(args.input))
    .keyBy((payment) => payment.card)
    .process('spending', {
      emits: type<Spending & { card: string }>(),
      state: { spending: valueState<number | Spending>(0, { formerly: ['total'] }) },
      onRecord({ amount }, { key, state, out }) {
        const { sum, count } = spendingOf(state.spending.get())
        const spending = { sum: sum + amount, count: count + 1 }
        state.spending.set(spending)
        out({ card: key, ...spending })
      },
    })
    .sink('out', files.jsonl(args.output))
})
