import { describe, expect, test } from 'vitest'
import { checkPod } from '#operator/resources/job-manager'
import { LABEL_COMPONENT } from '#operator/resources/labels'
import type { KubeObject } from '#operator/resources/object'
import { checksOf } from '#operator/stream-job/check'
import { runContext, spec } from '../fixtures.ts'
import {
  annotated,
  NOW,
  scaled,
  withCheck,
  withFacts,
  withHash,
  withoutLeader,
  withRestore,
  withRun,
  withSpec,
  withStatus,
  withUncheckedHash,
} from './observed.ts'
import { kinds, plan, stepOf } from './plans.ts'
import { ready, statusOf, summary } from './statuses.ts'

const changed = withUncheckedHash('h2')
const notReadyFor = (ms: number, reason = 'Checking') =>
  withStatus({
    conditions: [
      {
        type: 'Ready',
        status: 'False',
        reason,
        message: '',
        observedGeneration: 2,
        lastTransitionTime: new Date(NOW - ms).toISOString(),
      },
    ],
  })
const awaited = (reason?: 'Unschedulable' | 'ImagePullFailed') =>
  withCheck({
    kind: 'awaited',
    problem: reason === undefined ? undefined : { reason, message: `Pod x: ${reason}.` },
  })

describe('a changed spec', () => {
  test('is checked in a pod while the run goes on, and the job is not ready meanwhile', () => {
    const p = plan(changed)
    expect([p.policy, kinds(p)]).toEqual(['checkRun', ['ensureRun', 'ensureCheck']])
    const status = statusOf(changed)
    expect([status.phase, ready(status)?.reason, ready(status)?.message]).toEqual([
      'Running',
      'Checking',
      'The spec has changed; the next run is checked before run 3 is stopped.',
    ])
    expect(kinds(plan(changed, awaited()))).toEqual(['ensureRun'])
  })

  test('stops the run once its check has passed', () => {
    expect(kinds(plan(withHash('h2')))).toEqual(['writeStatus', 'requestStop'])
  })

  test('that would fail is refused with what is wrong, and the run goes on', () => {
    const refused = withCheck({ kind: 'refused', message: 'Cannot restore s3://a: it holds state of "x".' })
    expect(kinds(plan(changed, refused))).toEqual(['ensureRun'])
    const status = statusOf(changed, refused)
    expect(summary(status)).toMatchObject({ Ready: false, Stalled: true })
    expect([ready(status)?.reason, ready(status)?.message]).toEqual([
      'UpgradeRefused',
      'The next run would not work: Cannot restore s3://a: it holds state of "x". Run 3 goes on.',
    ])
  })

  test('of the spec as it was before ends the check', () => {
    const back = plan(changed, withCheck({ kind: 'passed' }), withUncheckedHash('h1'))
    expect([back.policy, kinds(back)]).toEqual(['keepRun', ['ensureRun', 'delete Pod', 'delete ConfigMap']])
  })

  test('to yet another one ends the check of the first', () => {
    const next = plan(changed, withCheck({ kind: 'passed' }), withUncheckedHash('h3'))
    expect(kinds(next)).toEqual(['ensureRun', 'delete Pod', 'delete ConfigMap', 'ensureCheck'])
  })

  test('whose image cannot be pulled waits, says so, and stops nothing', () => {
    const status = statusOf(changed, awaited('ImagePullFailed'), notReadyFor(60_000))
    expect([ready(status)?.reason, ready(status)?.message]).toEqual([
      'ImagePullFailed',
      'The next run would not work: Pod x: ImagePullFailed. Run 3 goes on.',
    ])
  })

  test.each([
    ['a restore block', [withRestore('r1', 's3://a/sp')]],
    ['a restart that was asked for with it, again', [changed, annotated({ restartedAt: 'now' })]],
  ])('is checked: %s', (_, modifiers) => {
    expect(stepOf(plan(...modifiers), 'ensureCheck')).toBeDefined()
  })

  test('is checked again after a refusal, when a restart is asked for', () => {
    const refused = withCheck({ kind: 'refused', message: 'no' })
    const again = plan(changed, refused, annotated({ restartedAt: 'now' }))
    expect(kinds(again)).toEqual(['ensureRun', 'delete Pod', 'delete ConfigMap', 'ensureCheck'])
    expect(stepOf(again, 'ensureCheck')?.id).not.toBe(stepOf(plan(changed), 'ensureCheck')?.id)
  })

  test.each([
    ['the check itself failed', [withCheck({ kind: 'unknown', message: 'it ended with code 1' })], 'code 1'],
    ['no node has room for it', [awaited('Unschedulable'), notReadyFor(31_000)], 'Unschedulable'],
    ['it takes longer than the deadline', [awaited(), notReadyFor(301_000)], 'takes more than 5m'],
    ['a quota refused its pod', [notReadyFor(1000, 'QuotaExceeded')], 'a quota of the namespace'],
  ])('begins unchecked, with a warning, where %s', (_, modifiers, why) => {
    const p = plan(changed, ...modifiers)
    expect(kinds(p)).toEqual(['event', 'writeStatus', 'requestStop'])
    expect(stepOf(p, 'event')).toMatchObject({ type: 'Warning', reason: 'CheckSkipped' })
    expect(stepOf(p, 'event')?.message).toContain(why)
  })

  test('waits for room a little', () => {
    expect(plan(changed, awaited('Unschedulable'), notReadyFor(29_000)).policy).toBe('checkRun')
  })

  test.each([
    ['the run does not work', [changed, withFacts({ state: 'Restarting' })]],
    ['nobody leads', [changed, withoutLeader(60_000)]],
    ['the run is being stopped', [changed, withRun({ stopRequestedAt: new Date(NOW).toISOString() })]],
    ['only the scale differs', [scaled(2)]],
    ['only a restart is asked for', [annotated({ restartedAt: 'now' })]],
    ['the job is to be suspended', [changed, withSpec({ state: 'Suspended' })]],
  ])('is not checked where %s', (_, modifiers) => {
    const p = plan(...modifiers)
    expect([p.policy, stepOf(p, 'ensureCheck')]).toEqual(['stopRun', undefined])
  })
})

describe('the pod of a check', () => {
  const pod = (status: object = {}): KubeObject => ({ ...checkPod(runContext(), 'abc'), status })
  const ended = (exitCode: number, message?: string) =>
    pod({
      phase: exitCode === 0 ? 'Succeeded' : 'Failed',
      containerStatuses: [
        { name: 'sidecar', state: { running: {} } },
        { name: 'job-manager', state: { terminated: { exitCode, message } } },
      ],
    })
  const resultOf = (of: KubeObject) => checksOf([of], NOW)[0]?.result

  test('is that of a JobManager, once, and nothing selects it', () => {
    const { metadata, spec: podSpec } = checkPod(
      runContext({ spec: spec({ podTemplate: { metadata: { labels: { team: 'a' } } } }) }),
      'abc',
    )
    expect(metadata).toMatchObject({ name: 'orders-check-abc', namespace: 'shop' })
    expect(metadata.labels).toMatchObject({ team: 'a', 'weir.dev/job': 'orders', 'weir.dev/check': 'abc' })
    expect(metadata.labels?.[LABEL_COMPONENT]).toBe('check')
    expect(metadata.ownerReferences).toHaveLength(1)
    const container = expect.objectContaining({ name: 'job-manager', command: ['weir-check'] })
    expect(podSpec).toMatchObject({ restartPolicy: 'Never', containers: [container] })
    expect(JSON.stringify(podSpec)).not.toContain('Probe')
  })

  test('has its answer from the container that checks, whatever others do', () => {
    expect(resultOf(ended(0))).toEqual({ kind: 'passed' })
    expect(resultOf(ended(2, 'weir-check: job.ts: no sink\n'))).toEqual({
      kind: 'refused',
      message: 'job.ts: no sink',
    })
    expect(resultOf(ended(1, 'store'))).toEqual({
      kind: 'unknown',
      message: 'it ended with code 1: store',
    })
    expect(resultOf(pod({ phase: 'Failed', message: 'evicted' }))).toEqual({
      kind: 'unknown',
      message: 'evicted',
    })
    expect(resultOf(pod({ phase: 'Running' }))).toEqual({ kind: 'awaited', problem: undefined })
  })
})
