/**
 * Join: records of two streams that belong together by key, within ten minutes of each other.
 *
 * Use it where either side may come first, or not at all. Both streams become one whose records
 * say what they are (a tagged union); the state holds what waits for its other half, and a timer
 * lets go of what waited in vain.
 */
import { boundedOutOfOrder, defineJob, files, listState, type, valueState } from 'weir-stream'

interface Order {
  readonly id: string
  readonly total: number
  /** Milliseconds since the epoch. */
  readonly at: number
}
interface Payment {
  readonly orderId: string
  readonly amount: number
  readonly at: number
}
type Either = { readonly order: Order } | { readonly payment: Payment }
type Joined =
  | { readonly id: string; readonly status: 'paid'; readonly total: number; readonly amount: number }
  | { readonly id: string; readonly status: 'unpaid'; readonly total: number }
  | { readonly id: string; readonly status: 'without order'; readonly amount: number }
const WITHIN_MS = 600_000

export default defineJob(({ env, args }) => {
  const orders = env
    .source('orders', files.jsonl<Order>(args.orders))
    .assignTimestamps((order) => order.at, boundedOutOfOrder('5s'))
    .map('as-order', (order): Either => ({ order }))
  const payments = env
    .source('payments', files.jsonl<Payment>(args.payments))
    .assignTimestamps((payment) => payment.at, boundedOutOfOrder('5s'))
    .map('as-payment', (payment): Either => ({ payment }))
  orders
    .union(payments)
    .keyBy((either) => ('order' in either ? either.order.id : either.payment.orderId))
    .process('join', {
      emits: type<Joined>(),
      state: { order: valueState<Order>(), isPaid: valueState(false), waiting: listState<Payment>() },
      onRecord(either, { key, state, timers, timestamp, out }) {
        if ('order' in either) state.order.set(either.order)
        else state.waiting.add(either.payment)
        timers.setEventTimer(timestamp + WITHIN_MS)
        const order = state.order.get()
        if (order === undefined) return
        for (const { amount } of state.waiting.get()) {
          out({ id: key, status: 'paid', total: order.total, amount })
          state.isPaid.set(true)
        }
        state.waiting.clear()
      },
      onTimer({ key, time }, { state, out }) {
        // A later record of the key has set a timer of its own, and may still find its other half.
        const newest = Math.max(state.order.get()?.at ?? 0, ...[...state.waiting.get()].map(({ at }) => at))
        if (newest + WITHIN_MS > time) return
        const order = state.order.get()
        if (order !== undefined && !state.isPaid.get()) out({ id: key, status: 'unpaid', total: order.total })
        for (const { amount } of state.waiting.get()) out({ id: key, status: 'without order', amount })
        state.order.clear()
        state.isPaid.clear()
        state.waiting.clear()
      },
    })
    .sink('joined', files.jsonl(args.output))
})
