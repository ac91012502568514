import { describe, expect, test } from 'vitest'
import { edges } from '#operator/stream-job/edges'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { annotated, type Modifier, withFacts, withHash, withRun } from './observed.ts'
import { ready, statusOf, summary } from './statuses.ts'

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
