import { describe, expect, test } from 'vitest'
import { NOTHING_KNOWN } from '#operator/job-managers/facts-view'
import { decide } from '#operator/stream-job/decide'
import { edges } from '#operator/stream-job/edges'
import { checkpointRefreshIn, notReadyLookIn, streamJobStatus } from '#operator/stream-job/status'
import { streamJobStatus as schema, type StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import {
  annotated,
  blocked,
  facts,
  neverRan,
  NOW,
  observed,
  unreachable,
  withFacts,
  withHash,
  withoutLeader,
  withRun,
  withSpec,
  withStatus,
  type Modifier,
} from './observed.ts'

const statusOf = (...modifiers: readonly Modifier[]): StreamJobStatus => {
  const o = observed(...modifiers)
  return streamJobStatus(o, decide(o), undefined)
}
const summary = (status: StreamJobStatus) =>
  Object.fromEntries(
    (status.conditions ?? []).map((c) => [c.type, c.status === 'Unknown' ? '?' : c.status === 'True']),
  )
const ready = (status: StreamJobStatus) => status.conditions?.find((c) => c.type === 'Ready')
const podProblem: Modifier = (o) => ({
  ...o,
  podProblem: { reason: 'ImagePullFailed', message: 'no such image' },
})

describe('Ready, Reconciling, Stalled, Complete and the phase', () => {
  /** What it is, how it came, [reason of Ready, phase], [Ready, Reconciling, Stalled, Complete]. */
  const rows: readonly [string, readonly Modifier[], readonly [string, string], readonly boolean[]][] = [
    ['running', [], ['Running', 'Running'], [true, false, false, false]],
    ['never ran', [neverRan], ['Starting', 'Starting'], [false, true, false, false]],
    ['blocked', [neverRan, blocked('h')], ['StorageMissing', 'Starting'], [false, false, true, false]],
    [
      'waiting for slots',
      [withFacts({ state: 'WaitingForSlots' }), withStatus({ phase: 'Starting' })],
      ['WaitingForSlots', 'Starting'],
      [false, true, false, false],
    ],
    [
      'restarting',
      [withFacts({ state: 'Restarting', restarts: 1 })],
      ['Restarting', 'Restarting'],
      [false, true, false, false],
    ],
    ['no leader', [withoutLeader(5000)], ['NoLeader', 'Restarting'], [false, true, false, false]],
    [
      'image not found',
      [withoutLeader(5000), withStatus({ phase: 'Starting' }), podProblem],
      ['ImagePullFailed', 'Starting'],
      [false, true, false, false],
    ],
    ['upgrading', [withHash('h2')], ['Stopping', 'Upgrading'], [false, true, false, false]],
    ['suspending', [withSpec({ state: 'Suspended' })], ['Stopping', 'Running'], [false, true, false, false]],
    [
      'suspended',
      [withSpec({ state: 'Suspended' }), withRun({ outcome: 'Suspended' })],
      ['Suspended', 'Suspended'],
      [true, false, false, false],
    ],
    ['finished', [withRun({ outcome: 'Finished' })], ['Finished', 'Finished'], [true, false, false, true]],
    [
      'drained',
      [withSpec({ state: 'Drained' }), withRun({ outcome: 'Drained' })],
      ['Drained', 'Drained'],
      [true, false, false, true],
    ],
    ['failed', [withRun({ outcome: 'Failed' })], ['JobFailed', 'Failed'], [false, false, true, false]],
  ]
  test.each(rows)(
    '%s',
    (_what, modifiers, [reason, phase], [isReady, isReconciling, isStalled, isComplete]) => {
      const status = statusOf(...modifiers)
      expect(summary(status)).toMatchObject({
        Ready: isReady,
        Reconciling: isReconciling,
        Stalled: isStalled,
        Complete: isComplete,
      })
      expect([ready(status)?.reason, status.phase]).toEqual([reason, phase])
      expect(schema.safeParse(status).error).toBeUndefined()
    },
  )

  test('every condition carries the generation that it was computed for', () => {
    const status = statusOf(withSpec({}, 5))
    expect(status.observedGeneration).toBe(5)
    expect(status.conditions?.every((c) => c.observedGeneration === 5)).toBe(true)
  })

  test('a failed job says why', () => {
    expect(ready(statusOf(withRun({ outcome: 'Failed', outcomeMessage: 'boom' })))?.message).toBe('boom')
  })

  test('a job whose JobManagers cannot lead is not taken for failed, and says what hinders them', () => {
    const obstacle = {
      code: 'STO_DENIED',
      message: 'The store refused the credentials.',
      retry: 'never',
      context: {},
    } as const
    const refused: Modifier = (o) => ({ ...o, facts: { ...o.facts, obstacle } })
    const first = statusOf(withoutLeader(5000), withStatus({ phase: 'Starting' }), refused)
    expect([first.phase, ready(first)?.reason]).toEqual(['Starting', 'Starting'])
    expect(ready(first)?.message).toBe('Waiting for a JobManager to lead. The store refused the credentials.')
    const later = statusOf(withoutLeader(60_000), refused)
    expect([later.phase, ready(later)?.reason]).toEqual(['Restarting', 'NoLeader'])
    expect(ready(later)?.message).toContain('The store refused the credentials.')
  })

  test('a JobManager that the operator cannot reach is not taken for one that does not lead', () => {
    const lost = statusOf(unreachable(60_000), withStatus({ phase: 'Running' }))
    expect([lost.phase, ready(lost)?.status, ready(lost)?.reason]).toEqual([
      'Running',
      'Unknown',
      'JobManagerUnreachable',
    ])
    expect(ready(lost)?.message).toBe(
      'Whether the job runs is not known: ' +
        'the operator cannot reach JobManager orders-jm-a (failed with 401).',
    )
    expect(summary(lost)).toMatchObject({
      Reconciling: true,
      CoordinatorElected: '?',
      CheckpointHealthy: '?',
    })
    expect(ready(statusOf(unreachable(4000), withStatus({ phase: 'Running' })))?.reason).toBe('NoLeader')
    const dead: Modifier = (o) => ({
      ...o,
      jobManagerPods: o.jobManagerPods.map((p) => ({ ...p, isReady: false })),
    })
    expect(ready(statusOf(unreachable(60_000), dead))?.reason).toBe('NoLeader')
  })

  test('a run that waits for the savepoint of a JobManager out of reach says so', () => {
    const status = statusOf(withHash('h2'), withSpec({ upgrade: { mode: 'Savepoint' } }), unreachable(60_000))
    expect(ready(status)).toMatchObject({ status: 'False', reason: 'JobManagerUnreachable' })
    expect(ready(status)?.message).toContain('The spec has changed; waiting for a savepoint, for 5m')
  })

  test('while a run is being stopped the status says why, also before it can be asked', () => {
    expect(ready(statusOf(withHash('h2'), withoutLeader(1000)))).toMatchObject({
      reason: 'Stopping',
      message: 'The spec has changed; waiting for its JobManager, as no JobManager leads.',
    })
    expect(ready(statusOf(withHash('h2'), withoutLeader(1000), podProblem))?.message).toContain(
      'no such image',
    )
  })

  test('a restarted operator does not call a job not ready before it has heard of it', () => {
    const before = statusOf()
    const unheard: Modifier = (o) => ({
      ...o,
      facts: { ...NOTHING_KNOWN, leaderlessMs: 100 },
    })
    expect(summary(statusOf(withStatus(before), unheard))).toEqual(summary(before))
    expect(statusOf(withStatus(before), unheard).phase).toBe('Running')
    expect(notReadyLookIn(observed(withStatus(before), unheard), before)).toBe(30_000)
    const late: Modifier = (o) => ({ ...o, facts: { ...o.facts, leaderlessMs: 60_000 } })
    expect(ready(statusOf(withStatus(before), unheard, late))?.status).toBe('False')
  })
})

describe('what the facts say', () => {
  test('is copied where it belongs', () => {
    const recovery = {
      at: NOW,
      cause: 'pod lost',
      checkpointId: 4,
      detectMs: 1.4,
      electMs: 0,
      scheduleMs: 2,
      restoreMs: 3,
      firstRecordMs: undefined,
    }
    const status = statusOf(withFacts({ restarts: 2, restoredFrom: 's3://x', recoveries: [recovery] }))
    expect(status).toMatchObject({
      attempt: '7.1',
      leader: 'orders-jm-a',
      parallelism: 2,
      restarts: 2,
      restoredFrom: 's3://x',
      runtimeVersion: '0.1.0',
      replicas: 1,
      selector: 'weir.dev/job=orders,weir.dev/component=task-manager',
      recoveries: [{ cause: 'pod lost', checkpointId: 4, detectMs: 1 }],
    })
  })

  test('keeps the recoveries that an earlier JobManager reported, newest first', () => {
    const recovery = {
      cause: 'pod lost',
      checkpointId: 4,
      detectMs: 1,
      electMs: 0,
      scheduleMs: 2,
      restoreMs: 3,
      firstRecordMs: 4,
    }
    const first = statusOf(withFacts({ recoveries: [{ ...recovery, at: NOW - 5000 }] }))
    const later = statusOf(
      withFacts({ recoveries: [{ ...recovery, at: NOW, cause: 'JobManager replaced' }] }),
      withStatus({ recoveries: first.recoveries! }),
    )
    expect(later.recoveries?.map((r) => r.cause)).toEqual(['JobManager replaced', 'pod lost'])
    expect(
      statusOf(
        withFacts({ recoveries: [{ ...recovery, at: NOW }] }),
        withStatus({ recoveries: later.recoveries! }),
      ).recoveries,
    ).toHaveLength(2)
  })

  test('failing checkpoints are shown with their reason', () => {
    const checkpoint = {
      ...facts().checkpoint,
      consecutiveFailures: 2,
      lastFailure: { id: 9, at: NOW, reason: 'CHECKPOINT_EXPIRED', message: 'no ack of count/1' },
    } as const
    const condition = statusOf(withFacts({ checkpoint })).conditions?.find(
      (c) => c.type === 'CheckpointHealthy',
    )
    expect(condition).toMatchObject({
      status: 'False',
      reason: 'CheckpointsFailing',
      message: '2 failed in a row. Checkpoint 9: CHECKPOINT_EXPIRED: no ack of count/1',
    })
  })

  test('an operator with a newer default image says so and restarts nothing', () => {
    const newer: Modifier = (o) => ({ ...o, defaultImage: 'weir:2' })
    expect(summary(statusOf(newer))['RuntimeOutdated']).toBe(true)
    expect(summary(statusOf(newer, withSpec({ image: 'weir:1' })))['RuntimeOutdated']).toBe(false)
  })
})

describe('the deadline', () => {
  const START = Date.parse('2030-01-01T00:09:00.000Z')
  const at =
    (ms: number): Modifier =>
    (o) => ({ ...o, now: START + ms })
  const MINUTE = 60_000
  const stalled = (status: StreamJobStatus) => status.conditions?.find((c) => c.type === 'Stalled')
  const waiting = withFacts({ state: 'WaitingForSlots', message: 'waits for 2 slots' })
  const notReadyFrom = (ms: number, ...modifiers: readonly Modifier[]) =>
    withStatus({ conditions: statusOf(withStatus({ conditions: [] }), at(ms), ...modifiers).conditions })

  test('a run that is not ready stalls after 5 minutes, or what the spec says, and not before', () => {
    const early = statusOf(waiting, notReadyFrom(0, waiting), at(5 * MINUTE - 1))
    expect(summary(early)).toMatchObject({ Reconciling: true, Stalled: false })
    const late = statusOf(waiting, notReadyFrom(0, waiting), at(5 * MINUTE))
    expect(summary(late)).toMatchObject({ Ready: false, Reconciling: false, Stalled: true })
    expect(stalled(late)).toMatchObject({
      reason: 'DeadlineExceeded',
      message: 'Not ready within 5m (spec.upgrade.deadline). waits for 2 slots',
    })
    expect(ready(late)?.reason).toBe('WaitingForSlots')
    const short = withSpec({ upgrade: { deadline: '10s' } }, 1)
    expect(stalled(statusOf(waiting, short, notReadyFrom(0, waiting), at(10_000)))?.status).toBe('True')
  })

  test('the cause that the pods have is the reason, and it is in Ready at once', () => {
    const modifiers = [withoutLeader(5000), withStatus({ phase: 'Starting' }), podProblem] as const
    expect(ready(statusOf(...modifiers, at(1000)))?.reason).toBe('ImagePullFailed')
    const late = statusOf(...modifiers, notReadyFrom(0, ...modifiers), at(5 * MINUTE))
    expect(stalled(late)).toMatchObject({ status: 'True', reason: 'ImagePullFailed' })
    expect(stalled(late)?.message).toContain('no such image')
  })

  test('ends when the job is ready', () => {
    const late = statusOf(waiting, notReadyFrom(0, waiting), at(5 * MINUTE))
    const after = statusOf(withStatus(late), at(6 * MINUTE))
    expect(summary(after)).toMatchObject({ Ready: true, Stalled: false, Reconciling: false })
  })

  test('a run that comes up and fails again and again has no checkpoint by then, and stalls', () => {
    const failing = withFacts({ state: 'Restarting', restarts: 40 })
    const since = (ms: number) => notReadyFrom(ms, failing)
    expect(stalled(statusOf(failing, since(5 * MINUTE), at(5 * MINUTE + 5000)))?.status).toBe('False')
    const late = statusOf(failing, since(5 * MINUTE), at(5 * MINUTE + 10_000))
    expect(stalled(late)?.status).toBe('True')
    const last = { id: 1, completedAt: START + 1, path: 's3://x', sizeBytes: 1, durationMs: 1 }
    const hasRun = withFacts({ state: 'Restarting', checkpoint: { ...facts().checkpoint, last } })
    expect(stalled(statusOf(hasRun, since(5 * MINUTE), at(6 * MINUTE)))?.status).toBe('False')
  })

  test('counts from the start of the run, not from the stop of the one before', () => {
    const began = withRun({ startedAt: new Date(START + 4 * MINUTE).toISOString() })
    expect(stalled(statusOf(waiting, began, notReadyFrom(0, waiting), at(6 * MINUTE)))?.status).toBe('False')
  })

  test('does not count while a run that was asked to stop is stopping', () => {
    const asked = withRun({ stopRequestedAt: new Date(START).toISOString() })
    const stopping = [withHash('h2'), asked, withFacts({ state: 'Stopping' })] as const
    expect(stalled(statusOf(...stopping, notReadyFrom(0, ...stopping), at(5.5 * MINUTE)))?.status).toBe(
      'False',
    )
  })

  test('a run that is stopped for the next one is not late for its checkpoint', () => {
    const upgrading = [withHash('h2'), withFacts({ state: 'Running' })] as const
    expect(stalled(statusOf(...upgrading, at(20 * MINUTE)))?.status).toBe('False')
  })

  test('what blocks a start for so long stalls it, also where waiting could have helped', () => {
    const waits: Modifier = (o) => ({
      ...o,
      desired: {
        kind: 'blocked',
        specHash: 'h',
        unscaledHash: 'h',
        blocker: { reason: 'RestoreNotReady', message: 'waiting', needsUser: false },
      },
    })
    const late = statusOf(neverRan, waits, notReadyFrom(0, neverRan, waits), at(5 * MINUTE))
    expect(stalled(late)).toMatchObject({ status: 'True', reason: 'RestoreNotReady' })
  })

  test('is a warning once, and somebody looks again by then', () => {
    const before = statusOf(waiting, notReadyFrom(0, waiting), at(MINUTE))
    const late = statusOf(waiting, withStatus(before), at(5 * MINUTE))
    expect(edges(before, late).map((e) => [e.type, e.reason])).toEqual([['Warning', 'DeadlineExceeded']])
    expect(edges(late, late)).toEqual([])
    expect(notReadyLookIn(observed(waiting), before)).toBe(15_000)
    expect(notReadyLookIn(observed(waiting), late)).toBe(60_000)
    expect(notReadyLookIn(observed(), statusOf())).toBeUndefined()
  })
})

test('a scale beyond maxParallelism is said, with a warning, and the job is ready', () => {
  const limited: Modifier = (o) => ({ ...o, scaleLimit: { asked: 200, granted: 128 } })
  const status = statusOf(limited)
  expect(summary(status)).toMatchObject({ Ready: true, ScaleLimited: true })
  expect(status.conditions?.find((c) => c.type === 'ScaleLimited')?.message).toBe(
    'taskManager.replicas is 200; by maxParallelism 128 there is work for 128 (slots: 1), ' +
      'and no more are made.',
  )
  expect(edges(statusOf(), status).map((e) => [e.type, e.reason])).toEqual([['Warning', 'ScaleLimited']])
  expect(summary(statusOf())['ScaleLimited']).toBe(false)
})

describe('a job that is to be left alone', () => {
  const alone = annotated({ reconcile: 'Disabled' })
  const paused = (status: StreamJobStatus) =>
    status.conditions?.find((c) => c.type === 'ReconciliationPaused')

  test('tells what its run does', () => {
    expect(summary(statusOf(alone))).toMatchObject({ Ready: true, ReconciliationPaused: true })
    const restarting = statusOf(alone, withFacts({ state: 'Restarting' }))
    expect([restarting.phase, ready(restarting)?.reason]).toEqual(['Restarting', 'Restarting'])
    const failed = statusOf(alone, withRun({ outcome: 'Failed' }))
    expect([failed.phase, ready(failed)?.reason]).toEqual(['Failed', 'JobFailed'])
  })

  test('is not ready while its spec asks for something else, and says what is not done', () => {
    const status = statusOf(alone, withHash('h2'))
    expect(summary(status)).toMatchObject({ Ready: false, Reconciling: false, Stalled: true })
    expect([status.phase, ready(status)?.message]).toEqual([
      'Running',
      'The spec has changed; nothing is done while annotation weir.dev/reconcile is Disabled.',
    ])
  })

  test('a value that means nothing is said, with a warning', () => {
    const odd = statusOf(annotated({ reconcile: 'disabled' }))
    expect(paused(odd)).toMatchObject({ status: 'Unknown', reason: 'AnnotationUnknown' })
    expect(paused(odd)?.message).toContain('"disabled"')
    expect(edges(statusOf(), odd).map((e) => [e.type, e.reason])).toEqual([['Warning', 'AnnotationUnknown']])
    expect(paused(statusOf(annotated({ reconcile: 'Enabled' })))?.status).toBe('False')
  })
})

describe('DefaultsOutdated', () => {
  const storage: Modifier = (o) => ({ ...o, drifts: [{ of: 'storage', used: 's3://a', now: 's3://b' }] })
  const redis: Modifier = (o) => ({ ...o, drifts: [{ of: 'redis', used: 'redis://a', now: undefined }] })
  const outdated = (status: StreamJobStatus) => status.conditions?.find((c) => c.type === 'DefaultsOutdated')

  test('says what the job uses, what the default is now, and what to do', () => {
    expect(outdated(statusOf())?.status).toBe('False')
    const { status, reason, message } = outdated(statusOf(storage))!
    expect([status, reason]).toEqual(['True', 'DefaultStorageChanged'])
    expect(message).toContain("stay in s3://a; the operator's default storage is now s3://b. To move it,")
    expect(outdated(statusOf(redis))).toMatchObject({ status: 'True', reason: 'DefaultRedisChanged' })
    expect(summary(statusOf(storage))['Ready']).toBe(true)
  })

  test('a Redis of a run that has ended is nothing, as the next one takes another', () => {
    expect(outdated(statusOf(redis, withRun({ outcome: 'Suspended' })))?.status).toBe('False')
  })

  test('is a warning, once', () => {
    const after = statusOf(storage)
    expect(edges(statusOf(), after).map((e) => [e.type, e.reason])).toEqual([
      ['Warning', 'DefaultStorageChanged'],
    ])
    expect(edges(after, after)).toEqual([])
  })
})

describe('lastCheckpoint', () => {
  const last = (id: number, completedAt: number) => ({
    id,
    completedAt,
    path: 's3://x/manifest.json',
    sizeBytes: 10,
    durationMs: 1500,
  })
  const ended = (id: number, completedAt: number) =>
    withFacts({ checkpoint: { ...facts().checkpoint, last: last(id, completedAt) } })
  const first = statusOf(ended(1, NOW - 5000))

  test('is written at once the first time', () => {
    expect(first.lastCheckpoint).toEqual({
      id: 1,
      completedAt: '2030-01-01T00:09:55.000Z',
      path: 's3://x/manifest.json',
      sizeBytes: 10,
      duration: '1s500ms',
    })
  })

  test('is held back for 30 s, and somebody looks again then', () => {
    const o = observed(withStatus(first), ended(2, NOW))
    const status = streamJobStatus(o, decide(o), undefined)
    expect(status.lastCheckpoint?.id).toBe(1)
    expect(checkpointRefreshIn(o, status)).toBe(25_000)
    const later: Modifier = (x) => ({ ...x, now: NOW + 25_000 })
    expect(statusOf(withStatus(first), ended(2, NOW), later).lastCheckpoint?.id).toBe(2)
  })

  test('is written at once when the health changes or the run has ended', () => {
    const unhealthy = first.conditions!.map((c) =>
      c.type === 'CheckpointHealthy' ? { ...c, status: 'False' as const } : c,
    )
    expect(statusOf(withStatus({ ...first, conditions: unhealthy }), ended(2, NOW)).lastCheckpoint?.id).toBe(
      2,
    )
    expect(
      statusOf(withStatus(first), withRun({ outcome: 'Suspended' }), ended(2, NOW)).lastCheckpoint?.id,
    ).toBe(2)
  })
})

describe('skipped', () => {
  const none = { lateDropped: 0, badRecords: 0, skippedCommits: 0, leftPending: 0 }
  const skips = (over: Partial<typeof none>) => withFacts({ skipped: { ...none, ...over } })

  test('is absent as long as nothing is', () => {
    expect(statusOf(skips({})).skipped).toBeUndefined()
  })

  test('tells of output at once, and counts records on when a checkpoint is written', () => {
    const first = statusOf(skips({ badRecords: 1 }))
    expect(first.skipped).toEqual({ ...none, badRecords: 1 })
    const second = statusOf(withStatus(first), skips({ badRecords: 9, leftPending: 2 }))
    expect(second.skipped).toEqual({ ...none, badRecords: 1, leftPending: 2 })
    const last = { id: 1, completedAt: NOW, path: 's3://x', sizeBytes: 1, durationMs: 1 }
    const completed: Modifier = (o) => ({
      ...o,
      facts: {
        ...o.facts,
        facts: facts({
          skipped: { ...none, badRecords: 9 },
          checkpoint: { ...facts().checkpoint, last },
        }),
      },
    })
    expect(statusOf(withStatus(second), completed).skipped).toEqual({ ...none, badRecords: 9 })
  })

  test('output that a restore leaves is an event, once', () => {
    const before = statusOf(skips({}))
    const after = statusOf(skips({ leftPending: 2, skippedCommits: 1, badRecords: 5 }))
    expect(edges(before, after).map((e) => [e.type, e.reason])).toEqual([
      ['Warning', 'OutputLeft'],
      ['Warning', 'CommitsSkipped'],
    ])
    expect(edges(after, after)).toEqual([])
  })
})
