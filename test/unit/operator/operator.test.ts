import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import { silentLogger } from '#runtime/base/logger'
import type { JobFacts } from '#runtime/contract/rest'
import { streamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { operatorConfig } from '#operator/config'
import { Operator } from '#operator/operator'
import { fail, TestApiServer } from '#test/kit/kube-api-server'
import { facts } from './stream-job/observed.ts'

/**
 * The whole operator against a server that speaks the Kubernetes protocol, and one that answers as
 * a JobManager does. What needs admission, garbage collection or real pods is in the cluster tests.
 */
const SHOP = '/apis/weir.dev/v1alpha1/namespaces/shop'
const JOB = `${SHOP}/streamjobs/orders`
const APPS = '/apis/apps/v1/namespaces/shop'
const CORE = '/api/v1/namespaces/shop'

type Job = { readonly status: StreamJobStatus }

let api: TestApiServer
let jobManager: http.Server
let asked: { readonly path: string; readonly body: Record<string, unknown> }[]
let said: JobFacts | undefined
let refusal: { readonly code: string; readonly message: string } | undefined
let streams: Set<http.ServerResponse>
let stop: AbortController
let running: Promise<unknown>

const until = (check: () => boolean) => expect.poll(check, { interval: 10, timeout: 8000 }).toBe(true)
const status = (): StreamJobStatus => (api.objects.get(JOB)?.['status'] ?? {}) as StreamJobStatus
const ready = () => status().conditions?.find((c) => c.type === 'Ready')
const uid = () => api.objects.get(JOB)?.metadata['uid'] as string
const events = () => api.seen('POST', '/events').map((r) => r.body as { reason: string; message: string })
const has = (path: string) => api.objects.has(path)

function say(over: Partial<JobFacts>): void {
  said = facts({
    job: { namespace: 'shop', name: 'orders', uid: uid() },
    run: Number(status().runId),
    leader: 'orders-jm-a',
    ...over,
  })
  for (const stream of streams) stream.write(`${JSON.stringify(said)}\n`)
}

function submit(spec: object, generation = 1): void {
  const existing = api.objects.get(JOB)
  api.put(JOB, {
    apiVersion: 'weir.dev/v1alpha1',
    kind: 'StreamJob',
    ...existing,
    metadata: { ...existing?.metadata, name: 'orders', namespace: 'shop', generation },
    spec: streamJobSpec.parse({ job: { inline: 'export default 1' }, ...spec }),
  })
}

/** What kubelet and the controllers would do: a JobManager pod of the run, with an address. */
function jobManagerPod(run: string): void {
  const labels = { 'weir.dev/job': 'orders', 'weir.dev/component': 'job-manager', 'weir.dev/run': run }
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'orders-jm-a', namespace: 'shop', labels },
    status: { phase: 'Running', podIP: '127.0.0.1' },
  }
  api.remove(`${CORE}/pods/orders-jm-a`)
  api.put(`${CORE}/pods/orders-jm-a`, pod)
}

async function isRunning(run = '1'): Promise<void> {
  await until(() => status().runId === run && has(`${APPS}/replicasets/orders-tm-${run}`))
  jobManagerPod(run)
  await until(() => streams.size > 0)
  say({ state: 'Running' })
  await until(() => ready()?.reason === 'Running')
}

/** An operator with this default storage. */
function start(storage: object): void {
  stop = new AbortController()
  const config = operatorConfig.parse({
    server: { host: '127.0.0.1', port: 0 },
    defaults: { image: 'weir:1', storage },
  })
  const operator = new Operator({
    config,
    client: api.client(),
    namespace: 'weir',
    identity: 'test',
    clock: systemClock,
    random: Math.random,
    logger: silentLogger,
    jobPort: (jobManager.address() as AddressInfo).port,
  })
  running = operator.run(stop.signal)
}

beforeEach(async () => {
  api = await TestApiServer.start()
  asked = []
  said = undefined
  refusal = undefined
  streams = new Set()
  jobManager = http.createServer((request, response) => {
    if (request.url === '/events') {
      response.writeHead(200)
      response.write(said === undefined ? '\n' : `${JSON.stringify(said)}\n`)
      streams.add(response)
      response.on('close', () => streams.delete(response))
      return
    }
    void text(request).then((body) => {
      asked.push({ path: request.url ?? '', body: JSON.parse(body) as Record<string, unknown> })
      if (refusal !== undefined) return response.writeHead(409).end(JSON.stringify(refusal))
      return response
        .writeHead(200)
        .end(JSON.stringify({ triggerId: (JSON.parse(body) as { triggerId: string }).triggerId }))
    })
  })
  jobManager.listen(0, '127.0.0.1')
  await once(jobManager, 'listening')
  api.put('/api/v1/namespaces/kube-system', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'kube-system' },
  })
  api.put('/api/v1/namespaces/weir/secrets/s3-root', {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's3-root', namespace: 'weir' },
    data: { AWS_ACCESS_KEY_ID: 'YQ==' },
  })
  start({ s3: { bucket: 'shared', credentialsSecret: 's3-root' } })
})

afterEach(async () => {
  stop.abort()
  expect(await running).toBe('stopped')
  jobManager.closeAllConnections()
  jobManager.close()
  await api.close()
})

describe('a StreamJob', () => {
  test('is made into a run, and its status follows the facts', async () => {
    submit({ taskManager: { replicas: 2 } })
    await until(() => has(`${APPS}/replicasets/orders-tm-1`))
    for (const path of [
      `${APPS}/deployments/orders-jm`,
      `${CORE}/configmaps/orders-run-1-${uid().slice(0, 8)}`,
      `${CORE}/secrets/orders-weir-token`,
      `${CORE}/secrets/orders-weir-s3`,
      `${CORE}/services/orders-jm`,
      `${CORE}/services/orders-rest`,
      `${CORE}/serviceaccounts/orders-weir`,
      '/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/orders-weir',
    ])
      expect(has(path), path).toBe(true)
    expect(api.objects.get(`${CORE}/secrets/orders-weir-s3`)?.['data']).toEqual({ AWS_ACCESS_KEY_ID: 'YQ==' })
    await until(() => ready()?.status === 'False')
    jobManagerPod('1')
    await until(() => streams.size === 1)
    say({ state: 'Running' })
    await until(() => ready()?.status === 'True')
    expect(status()).toMatchObject({
      phase: 'Running',
      runId: '1',
      leader: 'orders-jm-a',
      image: 'weir:1',
      observedGeneration: 1,
    })
    await until(() => api.objects.get(`${CORE}/pods/orders-jm-a`)?.metadata['labels'] !== undefined)
    await until(
      () =>
        (api.objects.get(`${CORE}/pods/orders-jm-a`)?.metadata['labels'] as Record<string, string>)[
          'weir.dev/leader'
        ] === 'true',
    )
  })

  test('I1: has the number of its run on record before anything of the run is made', async () => {
    submit({})
    await until(() => has(`${APPS}/replicasets/orders-tm-1`))
    const writes = api.requests
      .filter((r) => r.method !== 'GET' && r.path.includes('/shop/'))
      .map((r) => r.path)
    expect(writes[0]).toBe(`${JOB}/status`)
  })

  test('says in every write of its status what it is waiting for, and for which generation', async () => {
    submit({})
    await isRunning()
    submit({ checkpoint: { interval: '1s' } }, 2)
    await until(() => asked.length > 0)
    say({ state: 'Suspended', message: 'stopped' })
    await isRunning('2')
    const written = api.seen('PUT', '/streamjobs/orders/status').map((r) => (r.body as Job).status)
    const isReady = written.map((s) => s.conditions?.find((c) => c.type === 'Ready')?.status)
    expect(isReady[0]).toBe('False')
    expect(isReady).not.toContain(undefined)
    const first = written.find((s) => s.runId === '2')
    expect([first?.observedGeneration, first?.conditions?.find((c) => c.type === 'Ready')]).toMatchObject([
      2,
      { status: 'False', reason: 'Starting', observedGeneration: 2 },
    ])
  })

  test('is upgraded: the old run is asked to stop, then the next one is made', async () => {
    submit({})
    await isRunning()
    submit({ checkpoint: { interval: '1s' } }, 2)
    await until(() => asked.length > 0)
    expect(asked[0]).toMatchObject({ path: '/jobs/current/stop', body: { mode: 'checkpoint' } })
    expect(has(`${APPS}/replicasets/orders-tm-1`)).toBe(true)
    say({ state: 'Suspended', message: 'stopped' })
    await until(() => has(`${APPS}/replicasets/orders-tm-2`))
    await until(
      () =>
        !has(`${APPS}/replicasets/orders-tm-1`) &&
        !has(`${CORE}/configmaps/orders-run-1-${uid().slice(0, 8)}`),
    )
    await isRunning('2')
    expect(status()).toMatchObject({ runId: '2', observedGeneration: 2, phase: 'Running' })
  })

  test('whose JobManager does not take the request to stop says so', async () => {
    refusal = { code: 'CFG_INVALID', message: 'not now' }
    submit({})
    await isRunning()
    submit({ checkpoint: { interval: '1s' } }, 2)
    await until(() => events().some((e) => e.reason === 'StopRefused' && e.message.includes('not now')))
  })

  test('keeps its storage when the default one changes, and says so', async () => {
    submit({})
    await isRunning()
    stop.abort()
    await running
    start({ s3: { bucket: 'production', credentialsSecret: 's3-production' } })
    const outdated = () => status().conditions?.find((c) => c.type === 'DefaultsOutdated')
    await until(() => outdated()?.status === 'True')
    expect(outdated()?.message).toContain(
      "stay in s3://shared; the operator's default storage is now s3://production.",
    )
    await until(() => streams.size > 0)
    say({ state: 'Running' })
    api.put(`${SHOP}/savepoints/before`, {
      apiVersion: 'weir.dev/v1alpha1',
      kind: 'Savepoint',
      metadata: { name: 'before', namespace: 'shop' },
      spec: { streamJobRef: { name: 'orders' }, backoffLimit: 3, timeout: '10m' },
    })
    await until(() => asked.length > 0)
    expect(asked[0]?.body['path']).toContain(`s3://shared/shop/orders/${uid()}/`)
    submit({ checkpoint: { interval: '1s' } }, 2)
    await until(() => asked.some((a) => a.path === '/jobs/current/stop'))
    say({ state: 'Suspended', message: 'stopped' })
    const config = () => api.objects.get(`${CORE}/configmaps/orders-run-2-${uid().slice(0, 8)}`)?.['data']
    await until(() => config() !== undefined)
    const { 'job-manager.json': text } = config() as Record<string, string>
    expect(JSON.parse(text ?? '')).toMatchObject({ storage: { bucket: 'shared' } })
    expect(api.objects.get(`${CORE}/secrets/orders-weir-s3`)?.['data']).toEqual({ AWS_ACCESS_KEY_ID: 'YQ==' })
    expect(events().map((e) => e.reason)).toContain('DefaultStorageChanged')
  })

  test('is suspended with a savepoint that appears as an object, and resumes', async () => {
    submit({ upgrade: { mode: 'Savepoint' } })
    await isRunning()
    submit({ upgrade: { mode: 'Savepoint' }, state: 'Suspended' }, 2)
    await until(() => asked.length > 0)
    const { triggerId, path } = asked[0]!.body as { triggerId: string; path: string }
    say({
      state: 'Suspended',
      operations: [{ triggerId, type: 'stop', status: 'Completed', startedAt: 0, path }],
    })
    await until(() => ready()?.reason === 'Suspended' && !has(`${APPS}/deployments/orders-jm`))
    const savepoint = () => api.objects.get(`${SHOP}/savepoints/orders-suspend-1-${uid().slice(0, 8)}`)
    await until(() => (savepoint()?.['status'] as { phase?: string } | undefined)?.phase === 'Completed')
    expect(savepoint()).toMatchObject({
      spec: { existingPath: path },
      status: { trigger: 'Suspend', jobUid: uid() },
    })
    await until(() => status().lastSavepoint?.path === path)
    submit({ upgrade: { mode: 'Savepoint' } }, 3)
    await isRunning('2')
  })

  test('that the API server refuses says why and waits for a change', async () => {
    api.intercept = (r, response) =>
      r.path.endsWith('/deployments/orders-jm') &&
      r.method === 'PATCH' &&
      (fail(response, 422, 'Invalid', 'restartPolicy: Unsupported value'), true)
    submit({})
    await until(() => ready()?.reason === 'PodTemplateInvalid')
    expect(ready()?.message).toBe('restartPolicy: Unsupported value')
    expect(status().conditions?.find((c) => c.type === 'Stalled')?.status).toBe('True')
  })

  test('never takes over an object of somebody else', async () => {
    api.put(`${CORE}/services/orders-rest`, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'orders-rest', namespace: 'shop' },
      spec: { own: true },
    })
    submit({})
    await until(() => ready()?.reason === 'NameTaken')
    expect(api.objects.get(`${CORE}/services/orders-rest`)?.['spec']).toEqual({ own: true })
  })

  describe("that starts from another job's checkpoint", () => {
    const COPY = `${SHOP}/streamjobs/copy`
    const copy = () => (api.objects.get(COPY)?.['status'] ?? {}) as StreamJobStatus
    const path = () => `${status().storagePath}/chk/7-1`
    function submitCopy(): void {
      const spec = streamJobSpec.parse({ job: { inline: 'export default 1' }, restore: { path: path() } })
      const metadata = { name: 'copy', namespace: 'shop', generation: 1 }
      api.put(COPY, { apiVersion: 'weir.dev/v1alpha1', kind: 'StreamJob', metadata, spec })
    }

    test('asks the leader of that one to keep it', async () => {
      submit({})
      await isRunning()
      submitCopy()
      await until(() => copy().runId === '1')
      const by = `shop/copy/${api.objects.get(COPY)?.metadata['uid'] as string}`
      expect(asked).toEqual([{ path: '/jobs/current/pins', body: { path: path(), by } }])
    })

    test('does not start when it is not retained, and says what is', async () => {
      submit({})
      await isRunning()
      refusal = { code: 'CKP_RESTORE', message: 'Cannot pin 7: it retains 8, 9.' }
      submitCopy()
      await until(() => copy().conditions?.some((c) => c.reason === 'RestoreImpossible') === true)
      expect(copy().conditions?.find((c) => c.type === 'Stalled')).toMatchObject({
        status: 'True',
        message: refusal.message,
      })
      expect(copy().runId).toBeUndefined()
    })
  })

  test('that disappears is let go', async () => {
    submit({})
    await isRunning()
    api.remove(JOB)
    await until(() => streams.size === 0)
  })
})

describe('a Savepoint', () => {
  const SAVEPOINT = `${SHOP}/savepoints/before`
  const state = () => (api.objects.get(SAVEPOINT)?.['status'] ?? {}) as { phase?: string; path?: string }

  test('waits for the job, is taken once, and ends with what a restore needs', async () => {
    const spec = { streamJobRef: { name: 'orders' }, backoffLimit: 3, timeout: '10m' }
    api.put(SAVEPOINT, {
      apiVersion: 'weir.dev/v1alpha1',
      kind: 'Savepoint',
      metadata: { name: 'before', namespace: 'shop' },
      spec,
    })
    await until(() => state().phase === 'Pending')
    submit({})
    await isRunning()
    await until(() => asked.length > 0)
    const { triggerId, path } = asked[0]!.body as { triggerId: string; path: string }
    expect(state().phase).toBe('InProgress')
    say({
      state: 'Running',
      operations: [
        {
          triggerId,
          type: 'savepoint',
          status: 'Completed',
          startedAt: 0,
          path,
          checkpointId: 3,
          sizeBytes: 9,
        },
      ],
    })
    await until(() => state().phase === 'Completed')
    expect(state()).toMatchObject({ path, checkpointId: 3, sizeBytes: 9 })
    expect(new Set(asked.map((a) => a.body['triggerId'])).size).toBe(1)
  })
})
