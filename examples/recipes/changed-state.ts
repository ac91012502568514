/**
 * State that changes: a step that stored the sum of a card's payments now stores their number too,
 * under another name.
 *
 * Use it when a job with state gets a new version. `formerly` says where the stored value is
 * found, and `migrate` makes each one what this version expects, once, when it is restored.
 * `weir plan job.ts --from CHECKPOINT` says whether everything stored finds its place, and tries
 * `migrate` on stored values.
 */
import { defineJob, files, valueState, type ProcessFunctions } from 'weir-stream'

export interface Payment {
  readonly card: string
  readonly amount: number
}
export interface Spending {
  readonly sum: number
  readonly count: number
}

/** Version 1 stored the sum alone, as `total`; the number of payments is not known. */
const spending = valueState<Spending>(
  { sum: 0, count: 0 },
  { formerly: ['total'], version: 2, migrate: (total) => ({ sum: Number(total), count: 0 }) },
)

export const counted: ProcessFunctions<
  string,
  Payment,
  Spending & { card: string },
  { spending: typeof spending }
> = {
  state: { spending },
  onRecord({ amount }, { key, state, out }) {
    const before = state.spending.get()
    const after = { sum: before.sum + amount, count: before.count + 1 }
    state.spending.set(after)
    out({ card: key, ...after })
  },
}

export default defineJob(({ env, args }) => {
  env
    .source('payments', files.jsonl<Payment>(args.input))
    .keyBy((payment) => payment.card)
    .process('spending', counted)
    .sink('out', files.jsonl(args.output))
})
