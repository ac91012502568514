import { describe, expect, test } from 'vitest'
import type { Plan } from '#operator/stream-job/plan'
import {
  blocked,
  type Modifier,
  neverRan,
  NOW,
  RESOLVED,
  withFacts,
  withCheck,
  withHash,
  withUncheckedHash,
  withOperation,
  withoutLeader,
  withoutPods,
  withoutWorkloads,
  withRestore,
  withRun,
  withSpec,
  withStatus,
} from './observed.ts'
import { kinds, plan, runOf, stepOf } from './plans.ts'

const STOP_AT = '2030-01-01T00:09:59.000Z'
const TRIGGER = `stop-3-${Date.parse(STOP_AT)}`
const suspended = withSpec({ state: 'Suspended' })
const asked = withRun({ stopRequestedAt: STOP_AT })

describe('the policy that decides', () => {
  const rows: readonly [string, readonly Modifier[], Plan['policy'], readonly string[]][] = [
    ['nothing to do for a job that never ran and is suspended', [neverRan, suspended], 'nothing', []],
    ['a job that never ran begins run 1', [neverRan], 'beginRun', ['writeStatus', 'ensureRun', 'event']],
    ['a running job is kept', [], 'keepRun', ['ensureRun']],
    [
      'a finished job: the outcome is noted',
      [withFacts({ state: 'Finished' })],
      'noteOutcome',
      ['writeStatus', 'event'],
    ],
    ['a failed job: the outcome is noted', [withFacts({ state: 'Failed' })], 'noteOutcome', ['writeStatus']],
    ['a changed spec asks the run to stop', [withHash('h2')], 'stopRun', ['writeStatus', 'requestStop']],
    ['suspension asks the run to stop', [suspended], 'stopRun', ['writeStatus', 'requestStop']],
    [
      'draining asks the run to stop',
      [withSpec({ state: 'Drained' })],
      'stopRun',
      ['writeStatus', 'requestStop'],
    ],
    ['a changed spec that is blocked stops nothing', [blocked('h2')], 'keepRun', ['ensureRun']],
    [
      'a restarting job is ended without a stop for a new run',
      [withHash('h2'), withFacts({ state: 'Restarting' })],
      'stopRun',
      ['event', 'writeStatus'],
    ],
    [
      'a leader that is away for a moment is waited for',
      [withHash('h2'), withoutLeader(1000)],
      'stopRun',
      ['ensureRun'],
    ],
    [
      'a leader that is away for long is not',
      [withHash('h2'), withoutLeader(60_000)],
      'stopRun',
      ['event', 'writeStatus'],
    ],
    [
      'a run without pods is ended without a stop',
      [withHash('h2'), withoutPods],
      'stopRun',
      ['event', 'writeStatus'],
    ],
    [
      'a draining job without leader is never ended without a stop',
      [withSpec({ state: 'Drained' }), withoutLeader(60_000)],
      'stopRun',
      ['ensureRun'],
    ],
    [
      'a stop under way is waited for',
      [suspended, asked, withOperation({ triggerId: TRIGGER })],
      'stopRun',
      [],
    ],
    [
      'a suspended job releases its pods',
      [suspended, withRun({ outcome: 'Suspended' })],
      'releaseRun',
      ['delete ReplicaSet', 'delete Deployment'],
    ],
    [
      'a failed job keeps its JobManagers for their logs',
      [withRun({ outcome: 'Failed' })],
      'releaseRun',
      ['delete ReplicaSet'],
    ],
    ['a finished job stays finished', [withRun({ outcome: 'Finished' }), withoutWorkloads], 'releaseRun', []],
    [
      'a suspended job that is wanted again begins the next run',
      [withRun({ outcome: 'Suspended' }), withoutWorkloads],
      'beginRun',
      ['writeStatus', 'ensureRun', 'delete ConfigMap', 'event'],
    ],
    [
      'the pods of the last run, and of its check, go before those of the next are made',
      [withRun({ outcome: 'Superseded' }), withHash('h2')],
      'beginRun',
      [
        'writeStatus',
        'delete ReplicaSet',
        'delete Pod',
        'delete ConfigMap',
        'ensureRun',
        'delete ConfigMap',
        'event',
      ],
    ],
    [
      'a finished job runs again for a changed spec',
      [withRun({ outcome: 'Finished' }), withUncheckedHash('h2'), withoutWorkloads],
      'beginRun',
      ['writeStatus', 'ensureRun', 'delete ConfigMap', 'event'],
    ],
    [
      'a failed job runs again once the spec is touched',
      [withRun({ outcome: 'Failed' }), withSpec({}, 2), withoutWorkloads],
      'beginRun',
      ['writeStatus', 'ensureRun', 'delete ConfigMap', 'event'],
    ],
    [
      'a suspended job is started once more to be drained',
      [withSpec({ state: 'Drained' }), withRun({ outcome: 'Suspended' }), withoutWorkloads],
      'beginRun',
      ['writeStatus', 'ensureRun', 'delete ConfigMap', 'event'],
    ],
    [
      'a job to be drained that does not run takes a changed spec that may bring it to run',
      [withSpec({ state: 'Drained' }), withHash('h2'), withFacts({ state: 'Restarting' })],
      'stopRun',
      ['event', 'writeStatus'],
    ],
    ['a blocked start makes nothing', [neverRan, blocked('h1')], 'beginRun', []],
    [
      'a run whose storage is not on record: it is written down first',
      [withHash('h2'), withStatus({ resolved: undefined })],
      'noteResolved',
      ['writeStatus'],
    ],
    [
      'facts of another run say nothing about this one',
      [withFacts({ run: 2, state: 'Finished' })],
      'keepRun',
      ['ensureRun'],
    ],
  ]
  test.each(rows)('%s', (_what, modifiers, policy, steps) => {
    const p = plan(...modifiers)
    expect([p.policy, kinds(p)]).toEqual([policy, steps])
  })
})

describe('beginning a run', () => {
  test('I1: writes the number of the run before anything else', () => {
    const p = plan(withRun({ outcome: 'Suspended' }), withoutWorkloads)
    expect(p.steps[0]).toMatchObject({
      kind: 'writeStatus',
      status: { runId: '4', image: 'weir:1', restarts: 0, run: { specHash: 'h1', generation: 1 } },
    })
    expect(stepOf(p, 'ensureRun')?.run).toBe(4)
    expect(stepOf(p, 'delete')).toMatchObject({ resource: 'ConfigMap', name: 'orders-run-3-11111111' })
  })

  test("takes the operator's default image of now, or the spec's", () => {
    const image = (m: Modifier) => stepOf(plan(neverRan, m), 'writeStatus')?.status.image
    expect(image((o) => ({ ...o, defaultImage: 'weir:2' }))).toBe('weir:2')
    expect(image(withSpec({ image: 'own:1' }))).toBe('own:1')
  })

  test('writes down the storage and the Redis that it takes', () => {
    expect(stepOf(plan(neverRan), 'writeStatus')?.status.resolved).toEqual(RESOLVED)
  })

  test('says what blocks it', () => {
    expect(plan(neverRan, blocked('h1')).blocker).toMatchObject({ reason: 'StorageMissing', needsUser: true })
  })
})

describe('stopping a run', () => {
  test('asks for a checkpoint, or for a savepoint where the mode says so, under one name', () => {
    expect(stepOf(plan(suspended), 'requestStop')?.request).toEqual({
      triggerId: `stop-3-${NOW}`,
      mode: 'checkpoint',
    })
    expect(
      stepOf(plan(withSpec({ state: 'Suspended', upgrade: { mode: 'Savepoint' } })), 'requestStop')?.request,
    ).toEqual({
      triggerId: `stop-3-${NOW}`,
      mode: 'savepoint',
      path: 's3://shared/weir/shop/orders/uid/savepoints/orders-suspend-3-11111111',
    })
    expect(stepOf(plan(withSpec({ state: 'Drained' })), 'requestStop')?.request).toMatchObject({
      drain: true,
    })
  })

  test('warns that a run that does not run leaves no savepoint', () => {
    const p = plan(
      withHash('h2'),
      withSpec({ upgrade: { mode: 'Savepoint' } }),
      withFacts({ state: 'Restarting' }),
    )
    expect(stepOf(p, 'event')).toMatchObject({ type: 'Warning', reason: 'StopSkipped' })
    expect(stepOf(p, 'event')?.message).toContain('was Restarting, so it was ended without the savepoint')
  })

  test('asks again under the same name when a new leader does not know of it', () => {
    expect(stepOf(plan(suspended, asked), 'requestStop')?.request.triggerId).toBe(TRIGGER)
  })

  test('continues to stop when the user changes their mind meanwhile', () => {
    expect(plan(asked, withOperation({ triggerId: TRIGGER })).policy).toBe('stopRun')
  })

  test('gives up after the limit, with a warning, and loses no state', () => {
    const p = plan(
      withHash('h2'),
      withRun({ stopRequestedAt: '2030-01-01T00:00:00.000Z' }),
      withFacts({ state: 'Stopping' }),
    )
    expect(stepOf(p, 'event')).toMatchObject({ type: 'Warning', reason: 'StopTimedOut' })
    expect(runOf(p)).toMatchObject({ outcome: 'Superseded' })
  })

  test('a stop that failed ends the run, except for a drain, which is asked for again', () => {
    const failure = withOperation({
      triggerId: TRIGGER,
      status: 'Failed',
      error: { code: 'STO_DENIED', message: 'no bucket', retry: 'never', context: {} },
    })
    const ended = plan(suspended, asked, failure)
    expect([stepOf(ended, 'event')?.reason, runOf(ended)?.outcome]).toEqual(['StopFailed', 'Suspended'])
    const drain = plan(withSpec({ state: 'Drained' }), asked, failure)
    expect(runOf(drain)).not.toHaveProperty('outcome')
    expect(runOf(drain)).not.toHaveProperty('stopRequestedAt')
    expect(drain.requeueAfterMs).toBe(30_000)
  })
})

describe('a run whose token the operator has lost', () => {
  const lost: Modifier = (o) => ({ ...withoutLeader(0)(o), isTokenLost: true })

  test('is ended without asking it, and followed by another', () => {
    const p = plan(lost)
    expect([runOf(p)?.outcome, stepOf(p, 'event')?.reason]).toEqual(['Superseded', 'TokenLost'])
    const next = plan(lost, withRun({ outcome: 'Superseded' }))
    expect(next.policy).toBe('beginRun')
  })

  test('that has ended is left as it is', () => {
    expect(plan(lost, withRun({ outcome: 'Failed' })).policy).toBe('releaseRun')
  })
})

describe('the end of a run', () => {
  const stopped = (path: string) =>
    withFacts({
      state: 'Suspended',
      operations: [{ triggerId: TRIGGER, type: 'stop', status: 'Completed', startedAt: NOW, path }],
    })

  test('is Suspended or Superseded by what the spec asks now', () => {
    expect(runOf(plan(suspended, asked, stopped('s3://a')))?.outcome).toBe('Suspended')
    expect(runOf(plan(withHash('h2'), asked, stopped('s3://a')))?.outcome).toBe('Superseded')
  })

  test('leaves a Savepoint object behind before the outcome is written', () => {
    const p = plan(withSpec({ upgrade: { mode: 'Savepoint' } }), withHash('h2'), asked, stopped('s3://b/sp'))
    expect(kinds(p)).toEqual(['createSavepoint', 'writeStatus', 'event'])
    expect(stepOf(p, 'createSavepoint')).toMatchObject({
      kind: 'createSavepoint',
      name: 'orders-upgrade-3-11111111',
      path: 's3://b/sp',
      trigger: 'Upgrade',
    })
  })

  test('without a word of the savepoint that was asked for is a warning that says where it may be', () => {
    const silent = withFacts({ state: 'Suspended', operations: [] })
    const p = plan(withSpec({ upgrade: { mode: 'Savepoint' } }), withHash('h2'), asked, silent)
    expect(kinds(p)).toEqual(['event', 'writeStatus', 'event'])
    expect(stepOf(p, 'event')).toMatchObject({ type: 'Warning', reason: 'SavepointMissing' })
    expect(stepOf(p, 'event')?.message).toContain('savepoints/orders-upgrade-3-11111111')
    expect(kinds(plan(withHash('h2'), asked, silent))).toEqual(['writeStatus', 'event'])
  })

  test('keeps why a job failed', () => {
    const error = {
      code: 'USR_FAILED',
      message: 'boom in operator "count"',
      retry: 'never',
      context: {},
    } as const
    expect(runOf(plan(withFacts({ state: 'Failed', error })))).toMatchObject({
      outcome: 'Failed',
      outcomeMessage: 'boom in operator "count"',
    })
  })
})

describe('restore', () => {
  test('a changed block begins a new run that applies it', () => {
    expect(plan(withRestore('r1', 's3://a/sp'), withCheck({ kind: 'passed' })).policy).toBe('stopRun')
    const p = plan(withRestore('r1', 's3://a/sp'), withRun({ outcome: 'Superseded' }), withoutWorkloads)
    expect(runOf(p)?.restoreHash).toBe('r1')
    expect(stepOf(p, 'event')?.message).toContain('restoring from s3://a/sp')
  })

  test('is on record as applied once an attempt of the run exists', () => {
    const p = plan(
      withRestore('r1', 's3://a/sp'),
      withRun({ restoreHash: 'r1' }),
      withFacts({ restoredFrom: 's3://a/sp' }),
    )
    expect(kinds(p)).toEqual(['writeStatus', 'event', 'ensureRun'])
    expect(stepOf(p, 'writeStatus')?.status).toEqual({ restoreHash: 'r1' })
  })

  test('acts once: a block that was applied changes no later run', () => {
    const applied = [withRestore('r1', 's3://a/sp'), withStatus({ restoreHash: 'r1' })] as const
    expect(plan(...applied).policy).toBe('keepRun')
    const next = plan(...applied, withRun({ outcome: 'Superseded' }), withoutWorkloads)
    expect(runOf(next)).not.toHaveProperty('restoreHash')
  })

  test('is applied by the next run when the one that should have applied it never got so far', () => {
    const p = plan(
      withRestore('r1', 's3://a/sp'),
      withRun({ restoreHash: 'r1', outcome: 'Superseded' }),
      withoutWorkloads,
    )
    expect(runOf(p)?.restoreHash).toBe('r1')
  })
})

describe('keeping a run', () => {
  test('scales TaskManagers and JobManagers without a new run where the hash allows it', () => {
    const p = plan(withSpec({ parallelism: 1, taskManager: { replicas: 3 }, jobManager: { replicas: 2 } }))
    expect(p.steps.slice(1)).toEqual([
      { kind: 'scale', resource: 'ReplicaSet', name: 'orders-tm-3', replicas: 3 },
      { kind: 'scale', resource: 'Deployment', name: 'orders-jm', replicas: 2 },
    ])
  })

  test('moves the label of the leader', () => {
    const pods: Modifier = (o) => ({
      ...o,
      jobManagerPods: [
        { name: 'orders-jm-a', isLeader: false, hasAddress: true, readySince: 0 },
        { name: 'orders-jm-b', isLeader: true, hasAddress: true, readySince: 0 },
      ],
    })
    expect(plan(pods).steps.slice(1)).toEqual([
      { kind: 'labelLeader', pod: 'orders-jm-a', isLeader: true },
      { kind: 'labelLeader', pod: 'orders-jm-b', isLeader: false },
    ])
    expect(kinds(plan(pods, withoutLeader(1000)))).toEqual(['ensureRun'])
  })

  test('a missing module blocks nothing while the run of this generation works, else it is reported', () => {
    expect(plan(blocked(undefined)).blocker).toBeUndefined()
    expect(plan(blocked(undefined), withoutLeader(1000)).blocker?.reason).toBe('StorageMissing')
    expect(plan(blocked(undefined), withSpec({}, 2)).blocker?.reason).toBe('StorageMissing')
  })

  test('removes TaskManagers of other runs', () => {
    const stale: Modifier = (o) => ({
      ...o,
      taskManagers: [...o.taskManagers, { name: 'orders-tm-2', uid: 'r2', run: 2, replicas: 1 }],
    })
    expect(stepOf(plan(stale), 'delete')).toEqual({
      kind: 'delete',
      resource: 'ReplicaSet',
      name: 'orders-tm-2',
      uid: 'r2',
    })
  })
})
