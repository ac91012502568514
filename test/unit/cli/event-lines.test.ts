import { describe, expect, test } from 'vitest'
import type { JobFacts } from '#runtime/contract/rest'
import { eventLines, recoveryMs } from '#cli/progress/event-lines'
import { skippedText } from '#cli/progress/facts-text'

const facts = (change: Partial<JobFacts> = {}): JobFacts => ({
  version: '0.1.0',
  job: { namespace: 'default', name: 'j', uid: 'u' },
  run: 1,
  leading: true,
  leader: 'jm-1',
  epoch: 1,
  attempt: '1.1',
  state: 'Running',
  stateSince: 0,
  message: '',
  error: undefined,
  restarts: 0,
  parallelism: 4,
  slots: { free: 0, total: 4, wanted: 4 },
  taskManagers: 2,
  planHash: undefined,
  guarantee: 'exactly-once',
  storagePath: 'file:///x',
  restoredFrom: undefined,
  records: { in: 0, out: 0, perSecond: 0 },
  skipped: { lateDropped: 0, badRecords: 0, skippedCommits: 0, leftPending: 0 },
  checkpoint: {
    phase: 'IDLE',
    inProgress: undefined,
    completed: 0,
    failed: 0,
    consecutiveFailures: 0,
    last: undefined,
    lastFailure: undefined,
  },
  operations: [],
  recoveries: [],
  ...change,
})
const completed = (id: number): JobFacts['checkpoint'] => ({
  ...facts().checkpoint,
  completed: id,
  last: { id, completedAt: 0, path: 'p', sizeBytes: 12_595, durationMs: 18.2 },
})

describe('eventLines()', () => {
  test('says that the job runs, and from what', () => {
    const waiting = facts({ state: 'WaitingForSlots' })
    expect(eventLines(waiting, facts({ restoredFrom: 'file:///x/chk/7-2/manifest.json' }))).toEqual([
      'running: parallelism 4 on 2 TaskManagers, restored from checkpoint 7',
    ])
  })
  test('reports each newly completed checkpoint once', () => {
    const now = facts({ checkpoint: completed(7) })
    expect(eventLines(facts({ checkpoint: completed(6) }), now)).toEqual([
      'checkpoint 7 completed: 12.3 KiB in 18 ms',
    ])
    expect(eventLines(now, now)).toEqual([])
  })
  test('does not report the checkpoint that an earlier run left', () => {
    expect(
      eventLines(facts({ state: 'Created' }), facts({ state: 'WaitingForSlots', checkpoint: completed(7) })),
    ).toEqual([])
  })
  test('reports a failed checkpoint with its reason', () => {
    const failed = {
      ...facts().checkpoint,
      lastFailure: { id: 8, at: 5, reason: 'CHECKPOINT_EXPIRED' as const, message: '3 of 4 acknowledged' },
    }
    expect(eventLines(facts(), facts({ checkpoint: failed }))).toEqual([
      'checkpoint 8 failed: CHECKPOINT_EXPIRED, 3 of 4 acknowledged',
    ])
  })
  test('reports once what a restore has left unpublished, and no counts of records', () => {
    const skipped = { lateDropped: 3, badRecords: 4, skippedCommits: 1, leftPending: 2 }
    const now = facts({ skipped })
    expect(eventLines(facts(), now)).toEqual([
      '2 prepared transactions left to the job that this one is a fork of: if that job never runs ' +
        'again, publish them by hand; the log of the TaskManager names them',
      '1 commit skipped: committed before, and the output is gone',
    ])
    expect(eventLines(now, facts({ skipped: { ...skipped, badRecords: 9 } }))).toEqual([])
  })
  test('reports a restart with its restore point and cause', () => {
    const now = facts({
      state: 'Restarting',
      restarts: 1,
      checkpoint: completed(7),
      message: 'task manager tm-2 was lost',
    })
    expect(eventLines(facts({ checkpoint: completed(7) }), now)).toEqual([
      'restarting from checkpoint 7: task manager tm-2 was lost',
    ])
  })
  test('reports a recovery once, when its first record has passed', () => {
    const recovery = {
      at: 9,
      cause: 'lost',
      checkpointId: 7,
      detectMs: 2,
      electMs: 0,
      scheduleMs: 300,
      restoreMs: 100,
      firstRecordMs: undefined,
    }
    const restoring = facts({ recoveries: [recovery] })
    const running = facts({ recoveries: [{ ...recovery, firstRecordMs: 10 }] })
    expect(eventLines(facts(), restoring)).toEqual([])
    expect(eventLines(restoring, running)).toEqual([
      'running again after 412 ms (detect 2, schedule 300, restore 100, first record 10)',
    ])
    expect(eventLines(running, running)).toEqual([])
    expect(recoveryMs(recovery)).toBe(402)
  })
  test('reports the end and its error', () => {
    const now = facts({
      state: 'Failed',
      error: { code: 'USR_FAILED', message: 'boom in words', retry: 'never', context: {} },
    })
    expect(eventLines(facts(), now)).toEqual(['failed: boom in words'])
  })
  test('reports what keeps a job from running, once', () => {
    const error = { code: 'STO_DENIED', message: 'no access', retry: 'never', context: {} } as const
    const waiting = facts({ state: 'Created', message: 'no access', error })
    expect(eventLines(facts({ state: 'Created' }), waiting)).toEqual(['no access'])
    expect(eventLines(waiting, waiting)).toEqual([])
    const deploying = facts({ state: 'Deploying', message: 'cannot read the restore point', error })
    expect(eventLines(facts({ state: 'WaitingForSlots' }), deploying)).toEqual([
      'cannot read the restore point: no access',
    ])
  })
  test('reports a savepoint when it has completed', () => {
    const operation = {
      triggerId: 't',
      type: 'savepoint' as const,
      status: 'InProgress' as const,
      startedAt: 0,
    }
    const done = { ...operation, status: 'Completed' as const, checkpointId: 3, path: 'file:///s' }
    expect(eventLines(facts({ operations: [operation] }), facts({ operations: [done] }))).toEqual([
      'savepoint 3 completed: file:///s',
    ])
  })
})

describe('skippedText()', () => {
  test('names what was skipped, and nothing else', () => {
    const none = { lateDropped: 0, badRecords: 0, skippedCommits: 0, leftPending: 0 }
    expect(skippedText(none)).toBeUndefined()
    expect(skippedText({ ...none, badRecords: 1234 })).toBe('1,234 not readable')
    expect(skippedText({ lateDropped: 1, badRecords: 2, skippedCommits: 3, leftPending: 4 })).toBe(
      '1 late, 2 not readable, 3 commits of output that is gone, ' +
        '4 transactions left to the job it is a fork of',
    )
  })
})
