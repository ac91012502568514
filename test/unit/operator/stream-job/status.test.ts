import { describe, expect, test } from 'vitest'
import { NOTHING_KNOWN } from '#operator/job-managers/facts-view'
import { decide } from '#operator/stream-job/decide'
import { edges } from '#operator/stream-job/edges'
import { checkpointRefreshIn, notReadyLookIn, streamJobStatus } from '#operator/stream-job/status'
import { streamJobStatus as schema } from '#operator/api/v1alpha1/stream-job-status'
import {
  blocked,
  facts,
  type Modifier,
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
} from './observed.ts'
import { podProblem, ready, statusOf, summary } from './statuses.ts'

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
    expect(ready(statusOf(unreachable(9000), withStatus({ phase: 'Running' })))?.reason).toBe('NoLeader')
    const justReady: Modifier = (o) => ({
      ...o,
      jobManagerPods: o.jobManagerPods.map((p) => ({ ...p, readySince: NOW - 9000 })),
    })
    expect(ready(statusOf(unreachable(60_000), justReady))?.reason).toBe('NoLeader')
    const dead: Modifier = (o) => ({
      ...o,
      jobManagerPods: o.jobManagerPods.map((p) => ({ ...p, readySince: undefined })),
    })
    expect(ready(statusOf(unreachable(60_000), dead))?.reason).toBe('NoLeader')
  })

  test('a JobManager that lives and was cut off a moment ago may be heard again', () => {
    const before = statusOf()
    const cutOff = (ms: number): Modifier[] => [
      withStatus(before),
      unreachable(ms),
      (o) => ({ ...o, facts: { ...o.facts, hasAnswered: true } }),
    ]
    expect(statusOf(...cutOff(4000))).toMatchObject({ phase: 'Running', conditions: before.conditions })
    expect(notReadyLookIn(observed(...cutOff(4000)), before)).toBe(10_000)
    const lost = statusOf(...cutOff(10_000))
    expect([lost.phase, ready(lost)?.reason]).toEqual(['Running', 'JobManagerUnreachable'])
    const dead: Modifier = (o) => ({
      ...o,
      jobManagerPods: o.jobManagerPods.map((p) => ({ ...p, readySince: undefined })),
    })
    expect(ready(statusOf(...cutOff(1000), dead))?.reason).toBe('NoLeader')
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
    const failing = statusOf(withFacts({ checkpoint }))
    expect(edges(statusOf(), failing)).toMatchObject([{ type: 'Warning', reason: 'CheckpointsFailing' }])
    expect(edges(failing, failing)).toEqual([])
  })

  test('an operator with a newer default image says so and restarts nothing', () => {
    const newer: Modifier = (o) => ({ ...o, defaultImage: 'weir:2' })
    expect(summary(statusOf(newer))['RuntimeOutdated']).toBe(true)
    expect(summary(statusOf(newer, withSpec({ image: 'weir:1' })))['RuntimeOutdated']).toBe(false)
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
      ['Warning', 'RecordsDropped'],
    ])
    expect(edges(after, after)).toEqual([])
  })
})
