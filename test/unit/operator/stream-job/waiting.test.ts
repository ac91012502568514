import { expect, test } from 'vitest'
import type { WaitView } from '#runtime/contract/rest'
import { streamJobStatus as schema, type StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { edges } from '#operator/stream-job/edges'
import { waitsLookIn } from '#operator/stream-job/waiting'
import { type Modifier, NOW, observed, withFacts, withoutLeader, withRun, withStatus } from './observed.ts'
import { statusOf, summary } from './statuses.ts'

const wait = (kind: WaitView['kind'], ageMs: number, message: string = kind): WaitView => ({
  kind,
  since: NOW - ageMs,
  message,
})
const store = wait('store', 1200, 'the store: it does not answer while checkpoint 7 is written')
const waits = (...of: readonly WaitView[]) => withFacts({ waits: of })
const at =
  (ms: number): Modifier =>
  (o) => ({ ...o, now: NOW + ms })
const condition = (status: StreamJobStatus) => status.conditions?.find((c) => c.type === 'Waiting')

test('what the job waits for is in its status, the longest first, and makes the condition', () => {
  const hangs = 'operator map, subtask 0, on tm-a does not come back from a call; it is in job.ts:7:3'
  const status = statusOf(waits(wait('operator', 3000, hangs), store))
  expect(schema.parse(status).waits).toEqual([
    { kind: 'Code', since: '2030-01-01T00:09:57.000Z', message: hangs },
    { kind: 'Store', since: '2030-01-01T00:09:58.800Z', message: `for ${store.message}` },
  ])
  expect(condition(status)).toMatchObject({
    status: 'True',
    reason: 'WaitingForCode',
    message: `The job waits: ${hangs}; for ${store.message}.`,
  })
  expect(summary(status)['Ready']).toBe(true)
})

test.each([
  ['slots', 'WaitingForSlots', []],
  ['store', 'WaitingForStore', ['WaitingForStore']],
  ['checkpoint', 'WaitingForCheckpoint', []],
  ['operator', 'WaitingForCode', ['WaitingForCode']],
  ['source', 'WaitingForSource', ['WaitingForSource']],
] as const)(
  'a wait for %s has reason %s; what somebody should see to is a Warning event, once',
  (kind, reason, told) => {
    const after = statusOf(waits(wait(kind, 20_000)))
    expect(condition(after)?.reason).toBe(reason)
    expect(edges(statusOf(), after)).toEqual(
      told.map((r) => ({ type: 'Warning', reason: r, message: condition(after)?.message })),
    )
    expect(edges(after, after)).toEqual([])
  },
)

test('is gone when the wait has ended, the run too, and unknown while nobody leads', () => {
  const before = withStatus(statusOf(waits(store)))
  const over = statusOf(before)
  expect(over.waits).toBeUndefined()
  expect(condition(over)).toMatchObject({ status: 'False', reason: 'WaitOver' })
  const ended = statusOf(before, waits(store), withRun({ outcome: 'Failed' }))
  expect([ended.waits, condition(ended)?.status]).toEqual([undefined, 'False'])
  const unled = statusOf(before, withoutLeader(5000))
  expect([unled.waits, condition(unled)?.status]).toEqual([undefined, 'Unknown'])
})

test('the same wait is not written anew because its JobManager dates it otherwise', () => {
  const before = statusOf(waits(store))
  const later = statusOf(withStatus(before), waits({ ...store, since: store.since + 3 }), at(1000))
  expect(later).toEqual(before)
})

test('waits that come and go are written once; another within a minute must last', () => {
  const over = statusOf(withStatus(statusOf(waits(store))))
  const again: Modifier[] = [withStatus(over), waits({ ...store, since: NOW + 5000 })]
  expect(statusOf(...again, at(6200))).toEqual(over)
  expect(waitsLookIn(observed(...again, at(6200)), over)).toBe(8800)
  expect(condition(statusOf(...again, at(15_000)))?.status).toBe('True')
  const later: Modifier[] = [withStatus(over), waits({ ...store, since: NOW + 60_000 })]
  expect(condition(statusOf(...later, at(61_000)))?.status).toBe('True')
})

test('slots that were waited for at the start hold no other wait back', () => {
  const started = statusOf(withStatus(statusOf(waits(wait('slots', 2000)))))
  expect(condition(started)?.reason).toBe('NotWaiting')
  expect(condition(statusOf(withStatus(started), waits(store)))?.status).toBe('True')
})

test('a store that is slow is shown at once, and a Warning event when it lasts', () => {
  const slow = statusOf(waits(store))
  expect([slow.waits?.[0]?.kind, condition(slow)?.reason]).toEqual(['Store', 'StoreSlow'])
  expect(edges(statusOf(), slow)).toEqual([])
  expect(waitsLookIn(observed(waits(store)), slow)).toBe(8800)
  const lasting = statusOf(withStatus(slow), waits(store), at(8800))
  expect(edges(slow, lasting).map((e) => e.reason)).toEqual(['WaitingForStore'])
  expect(waitsLookIn(observed(waits(store), at(8800)), lasting)).toBeUndefined()
})

test('a checkpoint that takes its time is told after 10 s', () => {
  const slow = waits(wait('checkpoint', 4000))
  expect(statusOf(slow).waits).toBeUndefined()
  expect(waitsLookIn(observed(slow), statusOf(slow))).toBe(6000)
  expect(statusOf(slow, at(6000)).waits).toMatchObject([{ kind: 'Checkpoint' }])
})

test('records that are dropped are counted at once when the first one is, with a warning', () => {
  const none = { lateDropped: 0, badRecords: 0, skippedCommits: 0, leftPending: 0 }
  const skips = (over: object) => withFacts({ skipped: { ...none, ...over } })
  const left = statusOf(skips({ leftPending: 1 }))
  const late = statusOf(withStatus(left), skips({ leftPending: 1, lateDropped: 3 }))
  expect(late.skipped).toEqual({ ...none, leftPending: 1, lateDropped: 3 })
  expect(edges(left, late)).toMatchObject([{ type: 'Warning', reason: 'RecordsDropped' }])
  expect(edges(late, statusOf(withStatus(late), skips({ leftPending: 1, lateDropped: 9 })))).toEqual([])
})
