import { describe, expect, test } from 'vitest'
import type { OperationView } from '#runtime/contract/rest'
import {
  savepointSpec,
  savepointStatus as schema,
  type SavepointStatus,
} from '#operator/api/v1alpha1/savepoint'
import { decideSavepoint, type SavepointPlan } from '#operator/savepoint/decide'
import type { JobView, ObservedSavepoint } from '#operator/savepoint/observed'
import { type FactsView, NOTHING_KNOWN } from '#operator/job-managers/facts-view'
import { savepointStatus } from '#operator/savepoint/status'
import { JOB } from '../fixtures.ts'
import { facts, NOW } from '../stream-job/observed.ts'

const LEADER = { pod: 'a', address: { url: 'http://h:1', token: 't' } }
const LED: FactsView = { ...NOTHING_KNOWN, leader: LEADER, hasAnswered: true }
const STARTED = { phase: 'InProgress', startedAt: new Date(NOW - 2000).toISOString() } as const
const TRIGGER = 'savepoint-abcdefgh-uid-0'

const job = (over: Partial<JobView> = {}): JobView => ({
  uid: JOB.uid,
  phase: 'Running',
  storageUrl: 's3://shared/root',
  isEnded: false,
  isSuspended: false,
  lastPath: undefined,
  ...over,
})

function observed(
  over: Partial<ObservedSavepoint> = {},
  spec: object = { streamJobRef: { name: 'orders' } },
): ObservedSavepoint {
  return {
    object: {
      apiVersion: 'weir.dev/v1alpha1',
      kind: 'Savepoint',
      metadata: { name: 'before', namespace: 'shop' },
      spec,
    },
    uid: 'abcdefgh-uid',
    name: 'before',
    generation: 1,
    now: NOW,
    spec: savepointSpec.parse(spec),
    status: {},
    madeFor: undefined,
    job: job(),
    restoredBy: undefined,
    facts: { ...LED, facts: facts() },
    ...over,
  }
}
const withOperation = (status: SavepointStatus, operation: Partial<OperationView>) =>
  observed({
    status,
    facts: {
      ...LED,
      facts: facts({
        operations: [
          { triggerId: TRIGGER, type: 'savepoint', status: 'InProgress', startedAt: NOW, ...operation },
        ],
      }),
    },
  })
const noFacts: FactsView = { ...NOTHING_KNOWN, hasAnswered: true, leaderlessMs: 9000 }
const decided = (p: SavepointPlan) => [p.status.phase, p.reason]

describe('decideSavepoint()', () => {
  test('asks the leader of a running job, once it is on record', () => {
    const plan = decideSavepoint(observed())
    expect(decided(plan)).toEqual(['InProgress', 'InProgress'])
    expect(plan.status).toMatchObject({
      startedAt: new Date(NOW).toISOString(),
      jobUid: JOB.uid,
      trigger: 'User',
    })
    expect(plan.request).toEqual({ triggerId: TRIGGER, path: 's3://shared/root/savepoints/before-abcdefgh' })
  })

  test('writes where the user says', () => {
    expect(
      decideSavepoint(observed({}, { streamJobRef: { name: 'orders' }, path: 's3://own/x' })).request?.path,
    ).toBe('s3://own/x')
  })

  test.each([
    ['the job does not exist', { job: undefined }, 'JobNotFound'],
    [
      'the job is suspended',
      { facts: noFacts, job: job({ phase: 'Suspended', isSuspended: true }) },
      'JobSuspended',
    ],
    ['the job starts', { facts: noFacts, job: job({ phase: 'Starting' }) }, 'JobNotRunning'],
    [
      'the facts are of a job with the same name before it',
      { facts: { ...noFacts, facts: facts({ job: { ...JOB, uid: 'old' } }) } },
      'JobNotRunning',
    ],
  ])('waits while %s', (_what, over, reason) => {
    const plan = decideSavepoint(observed(over))
    expect(decided(plan)).toEqual(['Pending', reason])
    expect(plan.request).toBeUndefined()
  })

  test('records what a restore needs when it is complete', () => {
    const done = {
      status: 'Completed',
      path: 's3://p',
      checkpointId: 12,
      sizeBytes: 99,
      maxParallelism: 128,
      completedAt: NOW,
    } as const
    const plan = decideSavepoint(withOperation(STARTED, done))
    expect(plan.status).toMatchObject({
      phase: 'Completed',
      path: 's3://p',
      checkpointId: 12,
      sizeBytes: 99,
      maxParallelism: 128,
    })
    const status = savepointStatus({}, plan, 1, NOW)
    expect(status.conditions?.map((c) => [c.type, c.status])).toEqual([
      ['Ready', 'True'],
      ['Reconciling', 'False'],
      ['Stalled', 'False'],
    ])
    expect(schema.safeParse(status).error).toBeUndefined()
  })

  test('makes another attempt under another name and at another place after a failure', () => {
    const error = { code: 'STO_UNAVAILABLE', message: 'slow down', retry: 'backoff', context: {} } as const
    const failed = decideSavepoint(withOperation(STARTED, { status: 'Failed', error }))
    expect([...decided(failed), failed.status.failures, failed.message]).toEqual([
      'Pending',
      'Retrying',
      1,
      'Attempt 1 failed: slow down',
    ])
    expect(decided(decideSavepoint(observed({ status: failed.status })))).toEqual(['Pending', 'Retrying'])
    const again = decideSavepoint(observed({ status: failed.status, now: NOW + 60_000 }))
    expect(again.request).toEqual({
      triggerId: 'savepoint-abcdefgh-uid-1',
      path: 's3://shared/root/savepoints/before-abcdefgh-2',
    })
  })

  test('gives up after backoffLimit and says so', () => {
    const plan = decideSavepoint({ ...withOperation({ ...STARTED, failures: 3 }, {}), now: NOW + 3_600_000 })
    expect([...decided(plan), plan.status.failures]).toEqual(['Failed', 'BackoffLimitExceeded', 4])
    expect(savepointStatus({}, plan, 1, NOW).conditions?.find((c) => c.type === 'Stalled')?.status).toBe(
      'True',
    )
    expect(decided(decideSavepoint(observed({ status: plan.status })))).toEqual([
      'Failed',
      'BackoffLimitExceeded',
    ])
  })

  test('asks again when the leader does not know it, and counts an attempt as failed when that lasts', () => {
    expect(decideSavepoint(observed({ status: STARTED })).request?.triggerId).toBe(TRIGGER)
    expect(decided(decideSavepoint(observed({ status: STARTED, now: NOW + 60_000 })))).toEqual([
      'Pending',
      'Retrying',
    ])
  })

  test('waits while no leader is there, until the timeout', () => {
    expect(
      decided(decideSavepoint(observed({ status: STARTED, facts: noFacts, now: NOW + 60_000 }))),
    ).toEqual(['InProgress', 'InProgress'])
    expect(
      decided(decideSavepoint(observed({ status: STARTED, facts: noFacts, now: NOW + 601_000 }))),
    ).toEqual(['Pending', 'Retrying'])
  })

  const conditions = (plan: SavepointPlan) =>
    Object.fromEntries((savepointStatus({}, plan, 1, NOW).conditions ?? []).map((c) => [c.type, c.status]))

  test.each([
    ['the job does not exist', undefined],
    ['the job is suspended', job({ phase: 'Suspended', isSuspended: true })],
  ])('says at once that somebody must act while %s', (_what, of) => {
    const plan = decideSavepoint(observed({ facts: noFacts, job: of }))
    expect(conditions(plan)).toEqual({ Ready: 'False', Reconciling: 'False', Stalled: 'True' })
  })

  test.each(['Finished', 'Drained', 'Failed'])(
    'of a job that is %s there is none, and that is final',
    (phase) => {
      const ended = job({ phase, isEnded: true, lastPath: 's3://shared/root/chk/7-1/manifest.json' })
      const plan = decideSavepoint(observed({ facts: noFacts, job: ended }))
      expect(decided(plan)).toEqual(['Failed', 'JobEnded'])
      expect(plan.message).toContain('chk/7-1')
      expect(conditions(plan)).toEqual({ Ready: 'False', Reconciling: 'False', Stalled: 'True' })
      const written = savepointStatus({}, plan, 1, NOW)
      expect(schema.safeParse(written).error).toBeUndefined()
      const later = decideSavepoint(observed({ status: written }))
      expect([...decided(later), later.request]).toEqual(['Failed', 'JobEnded', undefined])
      expect(later.message).toBe(plan.message)
    },
  )

  test('an attempt whose job ends is over', () => {
    const ended = job({ phase: 'Finished', isEnded: true })
    const plan = decideSavepoint(observed({ status: STARTED, facts: noFacts, job: ended }))
    expect(plan.message).toBe('Attempt 1 failed: StreamJob orders is Finished')
  })

  const imported = (over: Partial<ObservedSavepoint> = {}) =>
    decideSavepoint(observed({ job: undefined, facts: noFacts, ...over }, { existingPath: 's3://old/sp' }))

  test('an existing path is recorded, and not called Ready, because nobody has looked at it', () => {
    const plan = imported()
    expect(decided(plan)).toEqual(['Unverified', 'NotVerified'])
    expect(plan.status).toMatchObject({ path: 's3://old/sp', trigger: 'Import' })
    expect(conditions(plan)).toEqual({ Ready: 'Unknown', Reconciling: 'False', Stalled: 'False' })
    expect(schema.safeParse(plan.status).error).toBeUndefined()
  })

  test('an existing path is Ready once a job was restored from it, and stays so', () => {
    const plan = imported({ status: imported().status, restoredBy: 'orders' })
    expect(decided(plan)).toEqual(['Completed', 'Imported'])
    expect(plan.message).toBe('StreamJob orders was restored from s3://old/sp.')
    expect(conditions(plan)).toMatchObject({ Ready: 'True' })
    expect(decided(imported({ status: plan.status }))).toEqual(['Completed', 'Imported'])
  })

  test('one made when a run was stopped has what the JobManager said about it', () => {
    const taken = { checkpointId: 12, sizeBytes: 99, maxParallelism: 128, formatVersion: 1 }
    const plan = imported({ madeFor: { trigger: 'Upgrade', job: 'orders', jobUid: 'u', taken } })
    expect(decided(plan)).toEqual(['Completed', 'Completed'])
    expect(plan.status).toMatchObject({ trigger: 'Upgrade', job: 'orders', jobUid: 'u', ...taken })
  })

  test('a completed one stays as it is, whatever becomes of the job', () => {
    const status = { phase: 'Completed', path: 's3://p' } as const
    expect(decideSavepoint(observed({ status, job: undefined, facts: noFacts })).status).toBe(status)
  })
})
