import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { files, sideOutput, valueState } from 'weir-stream'
import { harness, runJob } from 'weir-stream/testing'
import changedState, { counted, type Payment } from './changed-state.ts'
import deadLetters from './dead-letters.ts'
import enrich from './enrich.ts'
import joinJob from './join.ts'
import sessions from './sessions.ts'
import topN from './top-n.ts'

const args = { input: 'in', output: 'out', bad: 'bad', orders: 'o', payments: 'p', customers: 'c' }
const second = 1000

test('sessions: silence ends one, a record between two joins them', async () => {
  const click = (user: string, at: number) => ({ user, at: at * second })
  const { sinks } = await runJob(sessions, {
    args,
    sources: {
      clicks: [
        click('u', 0),
        click('u', 34),
        click('u', 30),
        click('v', 36),
        click('u', 100),
        click('u', 200),
      ],
    },
  })
  expect(sinks['sessions-out']).toEqual([
    { user: 'u', start: 0, end: 34_000, clicks: 3 },
    { user: 'v', start: 36_000, end: 36_000, clicks: 1 },
    { user: 'u', start: 100_000, end: 100_000, clicks: 1 },
    { user: 'u', start: 200_000, end: 200_000, clicks: 1 },
  ])
})

test('sessions: an open one survives a restore', async () => {
  const step = await harness(sessions, 'sessions', { args })
  step.send({ user: 'u', at: 0 }, 0)
  await step.snapshotAndRestore()
  step.send({ user: 'u', at: 20_000 }, 20_000)
  step.watermark(50_000)
  expect(step.out).toEqual([{ user: 'u', start: 0, end: 20_000, clicks: 2 }])
  expect(step.state('u')).toEqual({ open: [] })
})

test('join: either side first, and what finds no other half', async () => {
  const step = await harness(joinJob, 'join', { args })
  const order = (id: string, at: number) => step.send({ order: { id, total: 10, at } }, at)
  const payment = (orderId: string, at: number) => step.send({ payment: { orderId, amount: 10, at } }, at)
  order('a', 0)
  payment('a', 60_000)
  payment('b', 61_000)
  await step.snapshotAndRestore()
  order('b', 62_000)
  order('c', 63_000)
  payment('d', 64_000)
  step.watermark(700_000)
  expect(step.out).toEqual([
    { id: 'a', status: 'paid', total: 10, amount: 10 },
    { id: 'b', status: 'paid', total: 10, amount: 10 },
    { id: 'c', status: 'unpaid', total: 10 },
    { id: 'd', status: 'without order', amount: 10 },
  ])
  for (const id of ['a', 'b', 'c', 'd'])
    expect(step.state(id)).toEqual({ order: undefined, isPaid: false, waiting: [] })
})

test('top N: the three best of each category and minute', async () => {
  const sales = ['a', 'b', 'b', 'c', 'c', 'c', 'd', 'd'].map((item, at) => ({ category: 'toys', item, at }))
  const { sinks } = await runJob(topN, { args, sources: { sales } })
  expect(sinks['ranking']).toEqual([
    {
      category: 'toys',
      from: '1970-01-01T00:00:00.000Z',
      top: [
        { item: 'c', count: 3 },
        { item: 'b', count: 2 },
        { item: 'd', count: 2 },
      ],
    },
  ])
})

test('dead letters: the rest goes on, and each bad line is kept with its error', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'weir-recipes-'))
  const file = join(dir, 'in.jsonl')
  await writeFile(file, '{"card":"a","amount":1}\n{oops\n{"card":"a","amount":-2}\n{"card":"b"}\n')
  const schema = { '~standard': { version: 1, vendor: 'test', validate: checked } } as const
  const source = files.jsonl(file, { schema, onBadLine: sideOutput('bad') })
  const { sinks, bad } = await runJob(deadLetters, { args, sources: { payments: source } })
  await rm(dir, { recursive: true })
  expect(sinks).toEqual({
    good: [{ card: 'a', amount: 1 }],
    'bad-lines': [
      { file, line: 2, text: '{oops', error: expect.stringContaining('JSON') },
      { file, line: 4, text: '{"card":"b"}', error: '.amount: missing' },
    ],
    'bad-records': [{ record: { card: 'a', amount: -2 }, error: 'amount is -2' }],
  })
  expect(bad).toBe(0)
})

function checked(value: unknown) {
  const isWhole = typeof value === 'object' && value !== null && 'amount' in value
  return isWhole ? { value } : { issues: [{ message: 'missing', path: ['amount'] }] }
}

test('enrichment: the newest row, and records that come before it', async () => {
  const step = await harness(enrich, 'enrich', { args })
  step.send({ payment: { customer: 'c1', amount: 1 } })
  await step.snapshotAndRestore()
  step.send({ customer: { id: 'c1', name: 'Ada' } })
  step.send({ customer: { id: 'c1', name: 'Ada L.' } })
  step.send({ payment: { customer: 'c1', amount: 2 } })
  expect(step.out).toEqual([
    { customer: 'c1', amount: 1, name: 'Ada' },
    { customer: 'c1', amount: 2, name: 'Ada L.' },
  ])
})

test('changed state: what the earlier version stored goes on as the new one', async () => {
  const key = ({ card }: Payment) => card
  const before = await harness(
    {
      state: { total: valueState(0) },
      onRecord: ({ amount }: Payment, { state }) => state.total.set(amount),
    },
    { key },
  )
  before.send({ card: 'a', amount: 7 })
  const after = await before.upgradeTo(counted, { key })
  after.send({ card: 'a', amount: 5 })
  expect(after.out).toEqual([{ card: 'a', sum: 12, count: 1 }])
  const payments = [1, 2].map((amount) => ({ card: 'a', amount }))
  const { sinks } = await runJob(changedState, { args, sources: { payments } })
  expect(sinks['out']).toEqual([
    { card: 'a', sum: 1, count: 1 },
    { card: 'a', sum: 3, count: 2 },
  ])
})
