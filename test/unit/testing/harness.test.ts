import { describe, expect, expectTypeOf, test } from 'vitest'
import { defineJob, files, listState, mapState, type, valueState, type ProcessFunctions } from 'weir-stream'
import { harness } from 'weir-stream/testing'

interface Payment {
  readonly card: string
  readonly amount: number
}

const state = {
  total: valueState(0),
  amounts: listState<number>(),
  perShop: mapState<string, number>(),
}
const spending: ProcessFunctions<string, Payment, { card: string; total: number }, typeof state> = {
  emits: type<{ card: string; total: number }>(),
  state,
  onRecord({ amount }, { key, state: { total, amounts, perShop }, out, timers }) {
    if (amount < 0) throw new Error(`the amount is ${amount}`)
    total.set(total.get() + amount)
    amounts.add(amount)
    perShop.put('any', total.get())
    timers.setEventTimer(10_000)
    timers.setProcessingTimer(timers.now() + 60_000)
    if (total.get() > 100) out({ card: key, total: total.get() })
  },
  onTimer({ domain }, { key, state: { total }, out }) {
    if (domain === 'processing') total.clear()
    else out({ card: key, total: -1 })
  },
}
const open = () => harness(spending, { key: (payment) => payment.card })

describe('harness()', () => {
  test('gives records to the step and shows what it emits and stores', async () => {
    const step = await open()
    step.send({ card: 'a', amount: 70 })
    step.send({ card: 'b', amount: 10 })
    step.send({ card: 'a', amount: 40 })
    expect(step.out).toEqual([{ card: 'a', total: 110 }])
    expect(step.state('a')).toEqual({ total: 110, amounts: [70, 40], perShop: new Map([['any', 110]]) })
    expect(step.state('nobody')).toEqual({ total: 0, amounts: [], perShop: new Map() })
    expectTypeOf(step.state('a').perShop).toEqualTypeOf<Map<string, number>>()
    expectTypeOf(step.out).toEqualTypeOf<{ card: string; total: number }[]>()
  })

  test('state and timers come through a snapshot and a restore', async () => {
    const step = await open()
    step.send({ card: 'a', amount: 1 }, 5)
    await step.snapshotAndRestore()
    step.send({ card: 'a', amount: 2 }, 6)
    expect(step.state('a').amounts).toEqual([1, 2])
    await step.snapshotAndRestore()
    step.watermark(9_999)
    expect(step.out).toEqual([])
    step.watermark(10_000)
    expect(step.out).toEqual([{ card: 'a', total: -1 }])
  })

  test('processing time passes as the test says', async () => {
    const step = await open()
    step.send({ card: 'a', amount: 1 })
    step.advance(59_999)
    await step.snapshotAndRestore()
    expect(step.state('a').total).toBe(1)
    step.advance(1)
    expect(step.state('a').total).toBe(0)
  })

  test('a call throws what the step throws', async () => {
    const step = await open()
    expect(() => step.send({ card: 'a', amount: -1 })).toThrow('the amount is -1')
  })

  test('takes a step out of a job, with its key', async () => {
    const job = defineJob(({ env }) => {
      env
        .source('payments', files.jsonl<Payment>('nowhere/'))
        .keyBy((payment) => payment.card.toUpperCase())
        .process('spending', spending)
        .sink('out', files.jsonl('nowhere/'))
    })
    const step = await harness(job, 'spending')
    step.send({ card: 'a', amount: 1 })
    expect(step.state('A')).toMatchObject({ total: 1 })
    await expect(harness(job, 'spendings')).rejects.toThrow(
      'no process step "spendings". Expected one of: spending',
    )
  })
})
