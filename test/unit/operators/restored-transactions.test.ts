import { describe, expect, test } from 'vitest'
import type { TransactionId } from '#runtime/connectors/sink'
import {
  danglingTransactions,
  transactionsToCommit,
  transactionsToLeave,
  type PendingTransaction,
} from '#runtime/operators/restored-transactions'

const of = (given: Partial<TransactionId> = {}): TransactionId => ({
  job: 'job',
  sink: 'out',
  subtask: 0,
  attempt: '2.1',
  after: 10,
  ...given,
})
const pending = (checkpointId: number, given: Partial<TransactionId> = {}): PendingTransaction<number> => ({
  checkpointId,
  transaction: of(given),
  committable: checkpointId,
})
const place = {
  job: { namespace: 'default', name: 'job', uid: 'job' },
  uid: 'out',
  formerly: [],
  subtask: 0,
  parallelism: 1,
  attempt: '10.2',
  lineage: 'succession',
  sinks: { committedUpTo: 0, savepoints: [] },
} as const

describe('transactionsToCommit()', () => {
  const restored = [11, 12, 13, 14].map((id) => pending(id))
  const idsOf = (given: object) =>
    transactionsToCommit(restored, { ...place, ...given }).map(({ checkpointId }) => checkpointId)

  test('all, but those that are known to be committed', () => {
    expect(idsOf({})).toEqual([11, 12, 13, 14])
    expect(idsOf({ sinks: { committedUpTo: 12, savepoints: [] } })).toEqual([13, 14])
    expect(idsOf({ lineage: 'rewind' })).toEqual([11, 12, 13, 14])
  })

  test('none of another job that may go on', () => {
    expect(idsOf({ lineage: 'fork' })).toEqual([])
  })

  test('each by one subtask', () => {
    const shares = [0, 1, 2].map((subtask) => idsOf({ subtask, parallelism: 3 }))
    expect(shares).toEqual([[11, 14], [12], [13]])
  })
})

describe('transactionsToLeave()', () => {
  const restored = [11, 12, 13].map((id) => pending(id))

  test('all of the job that this one is a fork of, each told by one subtask; else none', () => {
    const shares = [0, 1].map((subtask) =>
      transactionsToLeave(restored, { ...place, lineage: 'fork', subtask, parallelism: 2 }),
    )
    expect(shares.map((share) => share.map((p) => p.checkpointId))).toEqual([[11, 13], [12]])
    for (const lineage of ['succession', 'rewind'] as const)
      expect(transactionsToLeave(restored, { ...place, lineage })).toEqual([])
  })
})

describe('danglingTransactions()', () => {
  const isDangling = (transaction: TransactionId, restored: PendingTransaction<number>[] = [], given = {}) =>
    danglingTransactions(restored, { ...place, ...given })(transaction)

  test('those of older attempts of this sink of this job', () => {
    for (const attempt of ['1.1', '2.15', '9.9', '10.1']) expect(isDangling(of({ attempt }))).toBe(true)
    for (const attempt of ['10.2', '10.3', '10.10', '11.1']) expect(isDangling(of({ attempt }))).toBe(false)
    expect(isDangling(of({ job: 'another' }))).toBe(false)
    expect(isDangling(of({ sink: 'another' }))).toBe(false)
  })

  test('those of a former name of the sink too', () => {
    const given = { uid: 'lake', formerly: ['out', 'older'] }
    for (const sink of ['lake', 'out', 'older']) expect(isDangling(of({ sink }), [], given)).toBe(true)
    expect(isDangling(of({ sink: 'another' }), [], given)).toBe(false)
    expect(isDangling(of({ sink: 'out' }), [pending(11)], given)).toBe(false)
  })

  test('not what was restored, by whichever subtask it is committed', () => {
    const restored = [pending(11), pending(11, { subtask: 3 })]
    expect(isDangling(of(), restored)).toBe(false)
    expect(isDangling(of({ subtask: 3 }), restored)).toBe(false)
    for (const other of [{ subtask: 1 }, { after: 11 }, { attempt: '2.2' }])
      expect(isDangling(of(other), restored)).toBe(true)
  })

  test('a transaction of the same place and attempt of another job says nothing about an own one', () => {
    expect(isDangling(of(), [pending(11, { job: 'source' })])).toBe(true)
  })

  test('not what a logged savepoint of the attempt holds, taken after the transaction began', () => {
    const sinks = { committedUpTo: 0, savepoints: [{ attempt: '2.1', id: 12 }] }
    for (const after of [0, 10, 11]) expect(isDangling(of({ after }), [], { sinks })).toBe(false)
    for (const after of [12, 13]) expect(isDangling(of({ after }), [], { sinks })).toBe(true)
    expect(isDangling(of({ attempt: '2.2' }), [], { sinks })).toBe(true)
  })
})
