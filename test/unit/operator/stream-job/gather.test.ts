import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import { streamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { NOTHING_KNOWN } from '#operator/job-managers/facts-view'
import { createStores } from '#operator/kube/stores'
import { runConfigMap } from '#operator/resources/config-map'
import { decide } from '#operator/stream-job/decide'
import { gather } from '#operator/stream-job/gather'
import type { Observed } from '#operator/stream-job/observed'
import { TestApiServer } from '#test/kit/kube-api-server'
import { defaults, JOB, resolved, runContext, spec } from '../fixtures.ts'

/** From an object as it is stored, and the defaults of now, to what is decided. */
let api: TestApiServer
beforeEach(async () => {
  api = await TestApiServer.start()
})
afterEach(() => api.close())

interface Stored {
  readonly spec?: object
  readonly status?: StreamJobStatus
  readonly annotations?: Readonly<Record<string, string>>
  readonly defaults?: ReturnType<typeof defaults>
}

function seen({
  spec: of = {},
  status,
  annotations = {},
  defaults: now = defaults(),
}: Stored): Promise<Observed> {
  const context = {
    client: api.client(),
    stores: createStores(),
    defaults: now,
    jobManagers: { view: () => NOTHING_KNOWN },
    tokenOf: () => 'token',
    clock: systemClock,
  }
  const object = {
    apiVersion: 'weir.dev/v1alpha1',
    kind: 'StreamJob',
    metadata: { ...JOB, generation: 1, annotations },
    spec: of,
    ...(status === undefined ? {} : { status }),
  }
  const parsed = streamJobSpec.parse({ job: { inline: 'export default 1' }, ...of })
  return gather(context, object, parsed, AbortSignal.timeout(10_000))
}

const PINNED = resolved({ spec: spec(), defaults: defaults() })
const ended: StreamJobStatus = {
  runId: '3',
  run: { specHash: 'old', generation: 1, startedAt: '2030-01-01T00:00:00Z', outcome: 'Suspended' },
}
const elsewhere = defaults({ storage: { s3: { bucket: 'production' } } })
const s3 = (bucket: string, prefix = 'weir') => ({ storage: { s3: { bucket, prefix } } })

describe('the storage of the next run', () => {
  test('is the one of the runs before, whatever the defaults are now', async () => {
    const o = await seen({ status: { ...ended, resolved: PINNED }, defaults: elsewhere })
    expect(o.desired).toMatchObject({ kind: 'ready', resolved: { storage: { bucket: 'shared' } } })
    expect(o.storageUrl).toBe(`s3://shared/weir/shop/orders/${JOB.uid}`)
    expect(o.drifts).toMatchObject([{ of: 'storage', now: 's3://production' }])
  })

  test('may be written into the spec, and elsewhere only with a restore', async () => {
    const status = { ...ended, resolved: PINNED }
    expect((await seen({ status, spec: s3('shared') })).desired).toMatchObject({
      kind: 'ready',
      resolved: { storage: { source: 'Spec' } },
    })
    const refused = await seen({ status, spec: s3('other') })
    expect(refused.desired).toMatchObject({
      kind: 'blocked',
      blocker: { reason: 'StorageChanged', needsUser: true },
    })
    expect(decide(refused)).toMatchObject({ policy: 'beginRun', blocker: { reason: 'StorageChanged' } })
    const moved = await seen({ status, spec: { ...s3('other'), restore: { path: 's3://other/copy' } } })
    expect(moved.desired).toMatchObject({ kind: 'ready', resolved: { storage: { bucket: 'other' } } })
  })

  test('is read from the ConfigMap of the run where the status does not have it', async () => {
    const { metadata, ...rest } = runConfigMap(runContext())
    api.put(`/api/v1/namespaces/shop/configmaps/${metadata.name}`, { ...rest, metadata: { ...metadata } })
    const o = await seen({ status: ended, defaults: elsewhere })
    expect(o.resolved).toEqual(PINNED)
    expect(decide(o)).toMatchObject({
      policy: 'noteResolved',
      steps: [{ kind: 'writeStatus', status: { resolved: PINNED } }],
    })
  })

  test('is not guessed from other defaults when that is gone too', async () => {
    const status = { ...ended, storagePath: `s3://shared/weir/shop/orders/${JOB.uid}` }
    const o = await seen({ status, defaults: elsewhere })
    expect(decide(o)).toMatchObject({ policy: 'beginRun', blocker: { reason: 'StorageChanged' } })
    expect(decide(await seen({ status }))).toMatchObject({ policy: 'noteResolved' })
  })
})

test('a scale beyond maxParallelism is cut before anything is decided', async () => {
  const o = await seen({ spec: { taskManager: { replicas: 200 } } })
  expect([o.spec.taskManager.replicas, o.scaleLimit]).toEqual([128, { asked: 200, granted: 128 }])
})

test('the hash of the run is known beside the one of another scale', async () => {
  const first = await seen({ spec: { taskManager: { replicas: 2 } } })
  const { specHash = '' } = first.desired
  const run = { ...ended.run!, specHash, taskManagers: 2, outcome: 'Finished' as const }
  const scaled = await seen({
    status: { ...ended, run, resolved: PINNED },
    spec: { taskManager: { replicas: 5 } },
  })
  expect([scaled.desired.unscaledHash, scaled.desired.specHash === specHash]).toEqual([specHash, false])
  expect(decide(scaled).policy).toBe('releaseRun')
})

test('annotations are what they say', async () => {
  const annotations = { 'weir.dev/restartedAt': 'x'.repeat(300), 'weir.dev/reconcile': 'Disabled' }
  const o = await seen({ annotations })
  expect([o.restartedAt?.length, o.reconcile]).toEqual([256, 'Disabled'])
})
