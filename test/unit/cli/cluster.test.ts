import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clusterError, openCluster } from '#cli/cluster/cluster'
import {
  isRestorable,
  isSavepointOf,
  isSettled,
  type SavepointObject,
  type StreamJobObject,
} from '#cli/cluster/objects'
import { isRestarted } from '#cli/cluster/restart'
import { restorePatch } from '#cli/cluster/restore'
import { statusText } from '#cli/cluster/status'
import { errorOf, KubeApiError } from '#operator/kube/errors'
import { TestApiServer } from '#test/kit/kube-api-server'

const apiError = (status: number, body: unknown): KubeApiError =>
  errorOf(
    { request: 'GET /x', kind: 'StreamJob' },
    status,
    typeof body === 'string' ? body : JSON.stringify(body),
  )

describe('clusterError()', () => {
  test('a missing object and a missing kind are told apart', () => {
    expect(
      clusterError(
        'StreamJob a/b',
        'https://k',
        apiError(404, { message: 'streamjobs.weir.dev "b" not found' }),
      ),
    ).toMatchObject({
      exitCode: 3,
      message: 'StreamJob a/b does not exist.',
    })
    expect(clusterError('StreamJobs', 'https://k', apiError(404, '404 page not found\n'))).toMatchObject({
      exitCode: 3,
      message: 'The cluster does not know StreamJobs.',
    })
  })
  test('a refusal repeats the reason of the API server', () => {
    const error = clusterError(
      'StreamJob a/b',
      'https://k',
      apiError(422, { message: 'spec.restore.path: must be an s3:// URL' }),
    )
    expect(error).toMatchObject({
      exitCode: 2,
      message: 'The cluster refuses StreamJob a/b: spec.restore.path: must be an s3:// URL',
    })
  })
  test('an API server that does not answer is named', () => {
    const cause = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })
    expect(
      clusterError(
        'x',
        'https://k:6443',
        new KubeApiError('no answer', { status: 0, reason: 'Unreachable', cause }),
      ),
    ).toMatchObject({
      exitCode: 1,
      message: 'Cannot reach the cluster at https://k:6443: ECONNREFUSED.',
    })
  })
})

describe('openCluster()', () => {
  let server: TestApiServer
  let dir: string
  beforeAll(async () => {
    server = await TestApiServer.start()
    dir = mkdtempSync(join(tmpdir(), 'weir-kubeconfig-'))
  })
  afterAll(async () => {
    await server.close()
    rmSync(dir, { recursive: true, force: true })
  })
  const kubeconfig = (token: string): string => {
    const file = join(dir, 'config')
    const named = (kind: string, value: object) => [{ name: 'here', [kind]: value }]
    const config = {
      clusters: named('cluster', { server: server.url, 'insecure-skip-tls-verify': true }),
      users: named('user', { token }),
      contexts: named('context', { cluster: 'here', user: 'here', namespace: 'shop' }),
      'current-context': 'here',
    }
    writeFileSync(file, JSON.stringify(config))
    return file
  }

  test('reads, patches and creates objects in the namespace of the context', async () => {
    const path = '/apis/weir.dev/v1alpha1/namespaces/shop/streamjobs/wc'
    server.put(path, {
      ...job,
      metadata: { ...job.metadata },
      apiVersion: 'weir.dev/v1alpha1',
      kind: 'StreamJob',
    })
    const cluster = await openCluster({ kubeconfig: kubeconfig('t') })
    expect(cluster.namespace).toBe('shop')
    expect((await cluster.job('wc')).status?.phase).toBe('Running')
    expect((await cluster.jobs({ allNamespaces: true })).map((it) => it.metadata.name)).toEqual(['wc'])
    await cluster.patchJob('wc', { spec: { state: 'Suspended' } })
    expect(server.objects.get(path)).toMatchObject({ spec: { state: 'Suspended' } })
    expect(server.seen('PATCH', 'streamjobs/wc').at(-1)?.query.get('fieldManager')).toBe('weir-cli')
    await cluster.createSavepoint('sp', { streamJobRef: { name: 'wc' } })
    expect((await cluster.savepoint('sp')).spec.streamJobRef?.name).toBe('wc')
    expect(await cluster.savepoints()).toHaveLength(1)
    await expect(cluster.job('absent')).rejects.toMatchObject({ exitCode: 3 })
  })

  test('a file, a context or a server that is not there is named', async () => {
    await expect(openCluster({ kubeconfig: join(dir, 'absent') })).rejects.toThrow(
      'Cannot read the kubeconfig',
    )
    await expect(openCluster({ kubeconfig: kubeconfig('t'), context: 'other' })).rejects.toThrow(
      'The kubeconfig has no context "other"',
    )
  })
})

describe('a Savepoint object', () => {
  const savepoint = (spec: SavepointObject['spec'], status: SavepointObject['status']): SavepointObject => ({
    metadata: { name: 's' },
    spec,
    ...(status === undefined ? {} : { status }),
  })

  test('is of a job that it was taken of, on request or at a stop', () => {
    const asked = savepoint({ streamJobRef: { name: 'orders' } }, undefined)
    const atStop = savepoint({ existingPath: 's3://b/sp' }, { job: 'orders', trigger: 'Upgrade' })
    const imported = savepoint({ existingPath: 's3://b/sp' }, { phase: 'Unverified' })
    expect([asked, atStop, imported].map((s) => isSavepointOf(s, 'orders'))).toEqual([true, true, false])
  })

  test('can be restored from when it is Ready, or not verified yet', () => {
    expect(isRestorable(savepoint({ existingPath: 's3://b/sp' }, { phase: 'Unverified' }))).toBe(true)
    expect(isRestorable(savepoint({ streamJobRef: { name: 'a' } }, { phase: 'Pending' }))).toBe(false)
  })
})

describe('restorePatch()', () => {
  test('replaces the whole block and removes the other starting points', () => {
    expect(restorePatch('before', 'svp/before', false, 'n1')).toEqual({
      spec: {
        state: 'Running',
        restore: {
          savepointRef: { name: 'before' },
          path: null,
          empty: null,
          allowNonRestoredState: false,
          nonce: 'n1',
        },
      },
    })
    expect(restorePatch(undefined, 's3://b/k', true, 'n2')).toMatchObject({
      spec: { restore: { savepointRef: null, path: 's3://b/k' } },
    })
  })
})

const job: StreamJobObject = {
  metadata: { name: 'wc', namespace: 'shop', generation: 3 },
  spec: { job: { inline: 'export default 1' }, taskManager: { replicas: 2 } },
  status: {
    observedGeneration: 3,
    phase: 'Running',
    replicas: 2,
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'Running',
        message: 'all is well',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      },
    ],
    lastCheckpoint: {
      id: 7,
      completedAt: '2026-01-01T00:00:00Z',
      path: 's3://b/chk/7-1',
      sizeBytes: 2048,
      duration: '18ms',
    },
  },
}

describe('isSettled()', () => {
  test('a condition of an older generation does not count', () => {
    expect(isSettled(job, 'Ready')).toBe(true)
    expect(isSettled({ ...job, metadata: { ...job.metadata, generation: 4 } }, 'Ready')).toBe(false)
    expect(isSettled(job, 'Stalled')).toBe(false)
  })
})

describe('statusText()', () => {
  test('is one screen with what the object says', () => {
    const text = statusText(job, Date.parse('2026-01-01T00:00:30Z'))
    expect(text).toMatch(/^job: +shop\/wc$/m)
    expect(text).toMatch(/^ready: +True, Running, all is well$/m)
    expect(text).toMatch(/^last checkpoint: +7, 30s ago: 2.0 KiB in 18ms$/m)
  })
  test('tells what the job waits for, and since when', () => {
    const waits = [{ kind: 'Slots' as const, since: '2026-01-01T00:00:00Z', message: 'for slots: 1 of 2' }]
    const text = statusText({ ...job, status: { ...job.status, waits } }, Date.parse('2026-01-01T00:00:05Z'))
    expect(text).toMatch(/^waiting: +5s for slots: 1 of 2$/m)
  })
  test('notes what is not as its owner may think', () => {
    const condition = (type: string, status: 'True' | 'False', reason: string) => ({
      ...job.status!.conditions![0]!,
      type,
      status,
      reason,
      message: 'as it is',
    })
    const conditions = [
      condition('ScaleLimited', 'True', 'ScaleLimited'),
      condition('DefaultsOutdated', 'False', 'UpToDate'),
      condition('CheckpointHealthy', 'False', 'CheckpointsFailing'),
    ]
    const lines = statusText({ ...job, status: { ...job.status, conditions } }, 0).match(/^note.*$/gm)
    expect(lines?.map((l) => l.replace(/ +/, ' '))).toEqual([
      'note: ScaleLimited, as it is',
      'note: CheckpointsFailing, as it is',
    ])
  })
  test('says so when the operator has not seen the object', () => {
    expect(statusText({ metadata: { name: 'new' }, spec: job.spec }, 0)).toContain(
      'the operator has not seen it yet',
    )
  })
})

test('isRestarted() is about the run that was asked for, not about the one before', () => {
  const run = { specHash: 'h', generation: 3, startedAt: '2030-01-01T00:00:00Z' }
  const begun = (restartedAt: string): StreamJobObject => ({
    ...job,
    status: { ...job.status, run: { ...run, restartedAt } },
  })
  expect(isRestarted(job, 'now')).toBe(false)
  expect(isRestarted(begun('before'), 'now')).toBe(false)
  expect(isRestarted(begun('now'), 'now')).toBe(true)
})
