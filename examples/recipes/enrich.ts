/**
 * Enrichment from state: each payment with the name of its customer, which another stream tells
 * and changes.
 *
 * Use it in place of a look-up in a service or database: the table comes as a stream of changes,
 * and its newest row lies in the state of the key. A payment that comes before its customer waits
 * for it.
 */
import { defineJob, files, listState, type, valueState } from 'weir-stream'

interface Customer {
  readonly id: string
  readonly name: string
}
interface Payment {
  readonly customer: string
  readonly amount: number
}
type Either = { readonly customer: Customer } | { readonly payment: Payment }

export default defineJob(({ env, args }) => {
  const customers = env
    .source('customers', files.jsonl<Customer>(args.customers))
    .map('as-customer', (customer): Either => ({ customer }))
  const payments = env
    .source('payments', files.jsonl<Payment>(args.input))
    .map('as-payment', (payment): Either => ({ payment }))
  customers
    .union(payments)
    .keyBy((either) => ('customer' in either ? either.customer.id : either.payment.customer))
    .process('enrich', {
      emits: type<Payment & { name: string }>(),
      state: { name: valueState<string>(), waiting: listState<Payment>() },
      onRecord(either, { state, out }) {
        if ('customer' in either) state.name.set(either.customer.name)
        else state.waiting.add(either.payment)
        const name = state.name.get()
        if (name === undefined) return
        for (const payment of state.waiting.get()) out({ ...payment, name })
        state.waiting.clear()
      },
    })
    .sink('out', files.jsonl(args.output))
})
