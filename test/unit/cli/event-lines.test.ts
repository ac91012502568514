import { describe, expect, test } from 'vitest'
import type { JobFacts } from '#runtime/contract/rest'
import { eventLines, recoveryMs } from '#cli/progress/event-lines'
import { RunTotals } from '#cli/local/run-totals'
import { skippedText } from '#cli/progress/facts-text'
import { progressLine } from '#cli/progress/progress-line'
import { statusBlock } from '#cli/progress/status-block'

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
  waits: [],
  error: undefined,
  restarts: 0,
  parallelism: 4,
  slots: { free: 0, total: 4, wanted: 4 },
  taskManagers: 2,
  planHash: undefined,
  guarantee: 'exactly-once',
  storagePath: 'file:///x',
  restoredFrom: undefined,
  records: { in: 0, out: 0, perSecond: 0, outPerSecond: 0 },
  watermark: null,
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

describe('what holds up the job', () => {
  const wait = (kind: 'slots' | 'store' | 'checkpoint' | 'operator', message: string) => ({
    kind,
    message,
    since: 0,
  })
  const slots = wait('slots', 'slots: 2 of 4 are there, on 1 TaskManager')
  const store = wait('store', 'the store: no space left')
  const spin = wait('operator', 'operator spin does not come back from a call')

  test('gets a line when it begins, and none while it lasts', () => {
    const waiting = facts({ waits: [slots, store, spin] })
    expect(eventLines(facts(), waiting)).toEqual([
      'waiting for slots: 2 of 4 are there, on 1 TaskManager',
      'waiting for the store: no space left',
      'operator spin does not come back from a call',
    ])
    expect(eventLines(waiting, waiting)).toEqual([])
  })

  test('a checkpoint that takes its time gets none', () => {
    expect(
      eventLines(facts(), facts({ waits: [wait('checkpoint', 'checkpoint 7: the part of a/0')] })),
    ).toEqual([])
  })

  test('is in the live lines and in the line of a log, with its age', () => {
    const waiting = facts({ waits: [store], stateSince: 1000, watermark: 60_000, restarts: 1 })
    expect(statusBlock(waiting, 5000, { taskManagers: 2 })).toContainEqual(
      expect.stringMatching(/^waiting: +5s for the store: no space left$/),
    )
    expect(progressLine(waiting, 5000)).toBe(
      'Running for 4s: 0 in (0/s), 0 out (0/s), event time 1970-01-01T00:01:00.000Z, ' +
        'ahead of the clock, no checkpoint yet, 1 restart, waiting 5s for the store: no space left',
    )
  })
})

describe('event time', () => {
  const behind = facts({ watermark: 60_000, records: { in: 9, out: 4, perSecond: 3, outPerSecond: 2 } })

  test('is shown with how far it is behind the clock', () => {
    expect(statusBlock(behind, 360_000, { taskManagers: 2 })).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^records: +9 in \(3\/s\), 4 out \(2\/s\)$/),
        expect.stringMatching(/^event time: +1970-01-01T00:01:00\.000Z, 5m behind the clock$/),
      ]),
    )
    expect(progressLine(behind, 360_000)).toContain(
      '9 in (3/s), 4 out (2/s), event time 1970-01-01T00:01:00.000Z, 5m behind the clock, no checkpoint',
    )
  })

  test('is not shown where there is none', () => {
    expect(statusBlock(facts(), 1000, { taskManagers: 2 }).join()).not.toContain('event time')
    expect(progressLine(facts(), 1000)).not.toContain('event time')
  })
})

test('an error that was told while the job was taken down is not told again as its end', () => {
  const error = { code: 'USR_FAILED', message: 'bad key', retry: 'never', context: {} } as const
  const failing = facts({ state: 'Stopping', message: 'bad key', error })
  const failed = facts({ state: 'Failed', message: 'bad key', error })
  expect(eventLines(facts(), failing)).toEqual(['bad key'])
  expect(eventLines(failing, failed)).toEqual(['failed'])
  expect(eventLines(facts(), failed)).toEqual(['failed: bad key'])
})

describe('a stop that fails', () => {
  const stop = (status: 'InProgress' | 'Failed') => ({
    operations: [
      {
        triggerId: 's',
        type: 'stop' as const,
        status,
        startedAt: 0,
        error: {
          code: 'USR_FAILED' as const,
          message: 'no luck',
          retry: 'restart-job' as const,
          context: {},
        },
      },
    ],
  })
  test('is told with the state that the job goes on in', () => {
    const before = facts({ state: 'Restarting', ...stop('InProgress') })
    expect(eventLines(before, { ...before, ...stop('Failed') })).toEqual([
      'stop failed: no luck; the job goes on, it is Restarting now',
    ])
  })
})

test('a log without a terminal has no line for each checkpoint', () => {
  const now = facts({ checkpoint: completed(8) })
  expect(eventLines(facts({ checkpoint: completed(7) }), now, { checkpoints: false })).toEqual([])
})

test('the totals of a run are summed over its attempts and leaders', () => {
  const totals = new RunTotals()
  const records = (n: number) => ({ in: n, out: n, perSecond: 0, outPerSecond: 0 })
  totals.take(facts({ attempt: '1.1', records: records(5) }))
  totals.take(facts({ attempt: '1.1', records: records(10), checkpoint: completed(3) }))
  totals.take(facts({ attempt: '1.2', records: records(4), checkpoint: completed(4), restarts: 1 }))
  totals.take(facts({ attempt: '2.1', epoch: 2, records: records(1), checkpoint: completed(2) }))
  const { recordsIn, recordsOut, checkpoints, restarts } = totals
  expect({ recordsIn, recordsOut, checkpoints, restarts }).toEqual({
    recordsIn: 15,
    recordsOut: 15,
    checkpoints: 6,
    restarts: 1,
  })
})
