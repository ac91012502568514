import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import { silentLogger } from '#runtime/base/logger'
import type { JobFacts } from '#runtime/contract/rest'
import { CLUSTER_RULES, JOB_NAMESPACE_RULES, OPERATOR_NAMESPACE_RULES } from '#operator/api/rbac'
import { streamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { operatorConfig } from '#operator/config'
import { Operator } from '#operator/operator'
import { fail, TestApiServer } from '#test/kit/kube-api-server'
import { rightsIn, rightsOf } from './rights.ts'
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

/** By the operator, in all tests so far. */
const rightsUsed = new Set<string>()

const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'YQ==', AWS_SECRET_ACCESS_KEY: 'YQ==' }

const until = (check: () => boolean) => expect.poll(check, { interval: 10, timeout: 8000 }).toBe(true)
const status = (): StreamJobStatus => (api.objects.get(JOB)?.['status'] ?? {}) as StreamJobStatus
const ready = () => status().conditions?.find((c) => c.type === 'Ready')
const uid = () => api.objects.get(JOB)?.metadata['uid'] as string
const events = () => api.seen('POST', '/events').map((r) => r.body as { reason: string; message: string })
const has = (path: string) => api.objects.has(path)
const tokenSecret = (workload = 'deployments/orders-jm') =>
  (api.objects.get(`${APPS}/${workload}`)?.metadata['annotations'] as Record<string, string>)[
    'weir.dev/token-secret'
  ]

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

/** What kubelet would do with the pod that checks the next run. */
async function checkEnds(exitCode = 0, message = ''): Promise<void> {
  const waiting = () =>
    [...api.objects].find(
      ([path, o]) => path.startsWith(`${CORE}/pods/orders-check-`) && o['status'] === undefined,
    )
  await until(() => waiting() !== undefined)
  const [path, pod] = waiting() ?? []
  if (path === undefined || pod === undefined) return
  const containerStatuses = [{ name: 'job-manager', state: { terminated: { exitCode, message } } }]
  api.put(path, { ...pod, status: { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses } })
}

async function isRunning(run = '1'): Promise<void> {
  await until(() => status().runId === run && has(`${APPS}/replicasets/orders-tm-${run}`))
  jobManagerPod(run)
  await until(() => streams.size > 0)
  say({ state: 'Running' })
  await until(() => ready()?.reason === 'Running')
}

const SHARED = { s3: { bucket: 'shared', credentialsSecret: 's3-root' } }

/** An operator with this default storage. */
function startOperator(identity: string, storage: object = SHARED): void {
  stop = new AbortController()
  const config = operatorConfig.parse({
    server: { host: '127.0.0.1', port: 0 },
    defaults: { image: 'weir:1', storage },
  })
  const operator = new Operator({
    config,
    client: api.client(),
    namespace: 'weir',
    identity,
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
    data: { ...CREDENTIALS, note: 'Yg==' },
  })
  startOperator('test')
})

afterEach(async () => {
  stop.abort()
  expect(await running).toBe('stopped')
  jobManager.closeAllConnections()
  jobManager.close()
  for (const request of api.requests) for (const right of rightsOf(request)) rightsUsed.add(right)
  await api.close()
})

describe('a StreamJob', () => {
  test('is made into a run, and its status follows the facts', async () => {
    submit({ taskManager: { replicas: 2 } })
    await until(() => has(`${APPS}/replicasets/orders-tm-1`))
    for (const path of [
      `${APPS}/deployments/orders-jm`,
      `${CORE}/configmaps/orders-run-1-${uid().slice(0, 8)}`,
      `${CORE}/secrets/${tokenSecret()}`,
      `${CORE}/secrets/orders-weir-s3-${uid().slice(0, 8)}`,
      `${CORE}/services/orders-jm`,
      `${CORE}/services/orders-rest`,
      `${CORE}/serviceaccounts/orders-weir`,
      '/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/orders-weir',
      '/apis/policy/v1/namespaces/shop/poddisruptionbudgets/orders-jm',
      '/apis/policy/v1/namespaces/shop/poddisruptionbudgets/orders-tm',
    ])
      expect(has(path), path).toBe(true)
    const copy = api.objects.get(`${CORE}/secrets/orders-weir-s3-${uid().slice(0, 8)}`)
    expect(copy?.['data']).toEqual(CREDENTIALS)
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
    await checkEnds()
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

  test('shows what it waits for, for as long as it does', async () => {
    submit({})
    await isRunning()
    const waits = [{ kind: 'source', since: Date.now() - 1000, message: 'a path: /in is not there' }] as const
    say({ state: 'Running', waits })
    await until(() => status().waits?.[0]?.message === 'for a path: /in is not there')
    await until(() => events().some((e) => e.reason === 'WaitingForSource'))
    say({ state: 'Running' })
    await until(() => status().waits === undefined)
    expect(status().conditions?.find((c) => c.type === 'Waiting')?.status).toBe('False')
  })

  test('is upgraded: the old run is asked to stop, then the next one is made', async () => {
    submit({})
    await isRunning()
    submit({ checkpoint: { interval: '1s' } }, 2)
    await checkEnds()
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

  test('is not upgraded to what would fail: its run goes on until another spec passes', async () => {
    submit({})
    await isRunning()
    submit({ checkpoint: { interval: '1s' } }, 2)
    await checkEnds(2, 'weir-check: job.ts:3:1: the job has no sink')
    await until(() => ready()?.reason === 'UpgradeRefused')
    expect(ready()?.message).toBe(
      'The next run would not work: job.ts:3:1: the job has no sink. Run 1 goes on.',
    )
    await until(() => events().some((e) => e.reason === 'UpgradeRefused'))
    expect([asked, status().runId]).toEqual([[], '1'])
    submit({ checkpoint: { interval: '2s' } }, 3)
    await checkEnds()
    await until(() => asked.length > 0)
    expect([...api.objects.keys()].filter((path) => path.includes('orders-check-'))).toHaveLength(2)
    say({ state: 'Suspended', message: 'stopped' })
    await isRunning('2')
    expect([...api.objects.keys()].filter((path) => path.includes('orders-check-'))).toEqual([])
  })

  test('whose JobManager does not take the request to stop says so', async () => {
    refusal = { code: 'CFG_INVALID', message: 'not now' }
    submit({})
    await isRunning()
    submit({ checkpoint: { interval: '1s' } }, 2)
    await checkEnds()
    await until(() => events().some((e) => e.reason === 'StopRefused' && e.message.includes('not now')))
  })

  test('keeps its storage when the default one changes, and says so', async () => {
    submit({})
    await isRunning()
    stop.abort()
    await running
    startOperator('test', { s3: { bucket: 'production', credentialsSecret: 's3-production' } })
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
    await checkEnds()
    await until(() => asked.some((a) => a.path === '/jobs/current/stop'))
    say({ state: 'Suspended', message: 'stopped' })
    const config = () => api.objects.get(`${CORE}/configmaps/orders-run-2-${uid().slice(0, 8)}`)?.['data']
    await until(() => config() !== undefined)
    const { 'job-manager.json': text } = config() as Record<string, string>
    expect(JSON.parse(text ?? '')).toMatchObject({ storage: { bucket: 'shared' } })
    expect(api.objects.get(`${CORE}/secrets/orders-weir-s3-${uid().slice(0, 8)}`)?.['data']).toEqual({
      AWS_ACCESS_KEY_ID: 'YQ==',
      AWS_SECRET_ACCESS_KEY: 'YQ==',
    })
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
      operations: [
        {
          triggerId,
          type: 'stop',
          status: 'Completed',
          startedAt: 0,
          path,
          sizeBytes: 9,
          maxParallelism: 128,
        },
      ],
    })
    await until(() => ready()?.reason === 'Suspended' && !has(`${APPS}/deployments/orders-jm`))
    const savepoint = () => api.objects.get(`${SHOP}/savepoints/orders-suspend-1-${uid().slice(0, 8)}`)
    await until(() => (savepoint()?.['status'] as { phase?: string } | undefined)?.phase === 'Completed')
    expect(savepoint()).toMatchObject({
      spec: { existingPath: path },
      status: { trigger: 'Suspend', job: 'orders', jobUid: uid(), sizeBytes: 9, maxParallelism: 128 },
    })
    await until(() => status().lastSavepoint?.path === path)
    submit({ upgrade: { mode: 'Savepoint' } }, 3)
    await isRunning('2')
  })

  describe('that the API server refuses says why, with kind and name', () => {
    const stalled = () => status().conditions?.find((c) => c.type === 'Stalled')?.status
    const warnings = () => api.seen('POST', '/events').map((r) => r.body as { type: string; reason: string })
    const refuse = (part: string, code: number, answer: object) => {
      api.intercept = (r, response) => {
        if (!isWrite(r.method) || !r.path.includes(part)) return false
        const body = { kind: 'Status', status: 'Failure', code, ...answer }
        response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
        return true
      }
    }
    const isWrite = (method: string) => method === 'PATCH' || method === 'POST'
    const UNKNOWN =
      'failed to create typed patch object (shop/orders-jm; apps/v1, Kind=Deployment): ' +
      '.spec.template.spec.nodeSelectr: field not declared in schema'

    test.each([
      [
        '400, a webhook',
        {
          part: '/services/',
          code: 400,
          answer: {
            reason: 'BadRequest',
            message: 'admission webhook "x" denied the request: label team is required',
          },
        },
        {
          reason: 'ObjectRefused',
          message: /^The API server refuses Service orders-jm: admission webhook "x" denied/,
        },
      ],
      [
        '422, too large',
        {
          part: '/configmaps/',
          code: 422,
          answer: { reason: 'Invalid', message: 'Too long: may not be more than 1048576 bytes' },
        },
        { reason: 'ObjectRefused', message: /^The API server refuses ConfigMap orders-run-1-\S+: Too long/ },
      ],
      [
        '413',
        {
          part: '/configmaps/',
          code: 413,
          answer: { reason: 'RequestEntityTooLarge', message: 'limit is 3145728' },
        },
        { reason: 'ObjectRefused', message: /limit is 3145728/ },
      ],
      [
        '404, a kind that is not installed',
        {
          part: '/networkpolicies/',
          code: 404,
          answer: { reason: 'NotFound', message: 'the server could not find the requested resource' },
        },
        { reason: 'ObjectRefused', message: /NetworkPolicy orders-weir/ },
      ],
      [
        '403, a quota',
        {
          part: '/services/',
          code: 403,
          answer: {
            reason: 'Forbidden',
            message: 'services "orders-jm" is forbidden: exceeded quota: q, requested: 1',
          },
        },
        { reason: 'QuotaExceeded', message: /exceeded quota/ },
      ],
      [
        '403, a permission',
        {
          part: '/services/',
          code: 403,
          answer: {
            reason: 'Forbidden',
            message: 'services "orders-jm" is forbidden: User "op" cannot patch resource',
          },
        },
        { reason: 'PermissionMissing', message: /cannot patch resource/ },
      ],
      [
        '403, a policy',
        {
          part: '/deployments/',
          code: 403,
          answer: {
            reason: 'Forbidden',
            message: 'deployments.apps "orders-jm" is forbidden: policy says no',
          },
        },
        { reason: 'ObjectRefused', message: /policy says no/ },
      ],
      [
        '500, a field that does not exist',
        { part: '/deployments/', code: 500, answer: { message: UNKNOWN } },
        { reason: 'PodTemplateInvalid', message: /Deployment orders-jm.*nodeSelectr: field not declared/ },
      ],
      [
        '422, a field of the pods',
        {
          part: '/deployments/',
          code: 422,
          answer: {
            reason: 'Invalid',
            message: 'restartPolicy: Unsupported value',
            details: {
              causes: [{ reason: 'FieldValueNotSupported', field: 'spec.template.spec.restartPolicy' }],
            },
          },
        },
        { reason: 'PodTemplateInvalid', message: /restartPolicy: Unsupported value/ },
      ],
    ])('%s', async (_what, refusal, { reason, message }) => {
      refuse(refusal.part, refusal.code, refusal.answer)
      submit({ podTemplate: { spec: { nodeSelectr: {} } } })
      await until(() => ready()?.reason === reason)
      expect(ready()?.message).toMatch(message)
      expect(stalled()).toBe(reason === 'QuotaExceeded' ? 'False' : 'True')
      await until(() => warnings().some((e) => e.type === 'Warning' && e.reason === reason))
    })

    test('a namespace that is being deleted', async () => {
      const details = { causes: [{ reason: 'NamespaceTerminating', field: 'metadata.namespace' }] }
      refuse('/services/', 403, { reason: 'Forbidden', message: 'it is being terminated', details })
      submit({})
      await until(() => ready()?.reason === 'NamespaceTerminating')
    })

    test('without podTemplate it is not the podTemplate that is wrong', async () => {
      refuse('/deployments/', 500, { message: UNKNOWN })
      submit({})
      await until(() => ready()?.reason === 'ObjectRefused')
    })

    test('any other failure shows after the third time, and goes when it is over', async () => {
      refuse('/services/', 500, { reason: 'InternalError', message: 'failed calling webhook "x": timeout' })
      submit({})
      await until(() => ready()?.reason === 'ReconcileFailed')
      expect(ready()?.message).toContain('failed calling webhook')
      expect(api.seen('PATCH', '/services/').length).toBeGreaterThanOrEqual(3)
      expect(stalled()).toBe('False')
      api.intercept = () => false
      await until(() => has(`${APPS}/replicasets/orders-tm-1`))
      await until(() => ready()?.reason === 'Starting')
    })

    test('what it may not read', async () => {
      api.intercept = (r, response) =>
        r.method === 'GET' &&
        r.path.endsWith('/configmaps/code') &&
        (fail(response, 403, 'Forbidden', 'configmaps "code" is forbidden: User "op" cannot get'), true)
      submit({ job: { configMapKeyRef: { name: 'code' } } })
      await until(() => ready()?.reason === 'PermissionMissing')
      expect(ready()?.message).toContain('ConfigMap code')
    })

    test('a status that the server refuses is said by an event', async () => {
      api.intercept = (r, response) =>
        r.method === 'PUT' &&
        r.path.endsWith('/orders/status') &&
        (fail(response, 422, 'Invalid', 'status.replicas: Invalid value'), true)
      submit({})
      await until(() => warnings().some((e) => e.reason === 'ObjectRefused'))
    })
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

  test('never takes over a Savepoint of somebody else', async () => {
    submit({ upgrade: { mode: 'Savepoint' } })
    await isRunning()
    const path = `${SHOP}/savepoints/orders-suspend-1-${uid().slice(0, 8)}`
    const spec = { existingPath: 's3://theirs/sp' }
    const metadata = { name: path.slice(path.lastIndexOf('/') + 1), namespace: 'shop' }
    api.put(path, { apiVersion: 'weir.dev/v1alpha1', kind: 'Savepoint', metadata, spec })
    submit({ upgrade: { mode: 'Savepoint' }, state: 'Suspended' }, 2)
    await until(() => asked.length > 0)
    const { triggerId } = asked[0]!.body as { triggerId: string }
    const operation = {
      triggerId,
      type: 'stop',
      status: 'Completed',
      startedAt: 0,
      path: 's3://b/sp',
    } as const
    say({ state: 'Suspended', operations: [operation] })
    await until(() => ready()?.reason === 'NameTaken')
    expect(api.objects.get(path)?.['spec']).toEqual(spec)
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

  test('that runs as it should costs an operator that takes over no request', async () => {
    submit({ parallelism: 1 })
    await isRunning()
    stop.abort()
    await running
    const before = api.requests.length
    startOperator('next')
    await until(() => streams.size > 0)
    submit({ parallelism: 1, taskManager: { replicas: 2 } }, 2)
    await until(() => api.seen('PATCH', '/replicasets/').length > 1)
    const ofJob = api.requests
      .slice(before)
      .filter((r) => r.path.includes('/shop/') && !r.path.endsWith('/status') && !r.path.endsWith('/events'))
    expect(ofJob.map((r) => `${r.method} ${r.path}`)).toEqual([`PATCH ${APPS}/replicasets/orders-tm-1`])
  })

  test('gets its Secrets without a request that would show or merge what is there', async () => {
    submit({})
    await until(() => has(`${APPS}/replicasets/orders-tm-1`))
    const asked = api.requests.filter((r) => r.path.startsWith(`${CORE}/secrets`))
    expect(asked.length).toBeGreaterThan(0)
    expect(asked.map((r) => r.method).filter((method) => method !== 'POST' && method !== 'PUT')).toEqual([])
  })

  test('for which the default credentials lack a key waits and names it', async () => {
    const path = '/api/v1/namespaces/weir/secrets/s3-root'
    api.put(path, { ...api.objects.get(path)!, data: { AWS_ACCESS_KEY_ID: 'YQ==' } })
    submit({})
    await until(() => ready()?.reason === 'CredentialsMissing')
    expect(ready()?.message).toBe(
      "Secret s3-root in namespace weir, which the operator's defaults name, has no AWS_SECRET_ACCESS_KEY.",
    )
  })

  test('whose Secret was deleted gets it again as soon as a pod waits for it', async () => {
    submit({})
    await isRunning()
    const secret = `${CORE}/secrets/${tokenSecret()}`
    const before = api.objects.get(secret)?.['data']
    api.remove(secret)
    const pod = `${CORE}/pods/orders-tm-1-a`
    const labels = {
      'weir.dev/job': 'orders',
      'weir.dev/component': 'task-manager',
      'weir.dev/run': '1',
    }
    const conditions = [
      { type: 'PodReadyToStartContainers', status: 'False', lastTransitionTime: '2020-01-01T00:00:00Z' },
    ]
    const waiting = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'orders-tm-1-a', namespace: 'shop', labels },
      status: { phase: 'Pending', conditions },
    }
    await until(() => {
      api.put(pod, waiting)
      return has(secret)
    })
    expect(api.objects.get(secret)?.['data']).toEqual(before)
  })

  test('gets the default credentials as they are now, and keeps its token', async () => {
    const copy = () => api.objects.get(`${CORE}/secrets/orders-weir-s3-${uid().slice(0, 8)}`)?.['data']
    submit({})
    await isRunning()
    const token = api.objects.get(`${CORE}/secrets/${tokenSecret()}`)
    const renewed = { ...CREDENTIALS, AWS_ACCESS_KEY_ID: 'Yg==' }
    const shared = api.objects.get('/api/v1/namespaces/weir/secrets/s3-root')!
    api.put('/api/v1/namespaces/weir/secrets/s3-root', { ...shared, data: renewed })
    api.remove(`${APPS}/replicasets/orders-tm-1`)
    await until(() => has(`${APPS}/replicasets/orders-tm-1`))
    await until(() => (copy() as { AWS_ACCESS_KEY_ID?: string } | undefined)?.AWS_ACCESS_KEY_ID === 'Yg==')
    expect(copy()).toEqual(renewed)
    expect(api.objects.get(`${CORE}/secrets/${tokenSecret()}`)).toEqual(token)
  })

  test('whose token came from a key that is lost is replaced, all pods of it, and says so', async () => {
    submit({})
    await isRunning()
    const lost = tokenSecret()
    stop.abort()
    await running
    api.remove('/api/v1/namespaces/weir/secrets/weir-operator-token-key')
    startOperator('next')
    await until(() => has(`${APPS}/replicasets/orders-tm-2`) && !has(`${APPS}/replicasets/orders-tm-1`))
    expect(tokenSecret()).not.toBe(lost)
    expect(tokenSecret('replicasets/orders-tm-2')).toBe(tokenSecret())
    expect(has(`${CORE}/secrets/${tokenSecret()}`)).toBe(true)
    const events = () => api.seen('POST', '/events').map((r) => (r.body as { reason: string }).reason)
    await until(() => events().includes('TokenLost'))
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
  const state = () => (api.objects.get(SAVEPOINT)?.['status'] ?? {}) as SavepointStatus

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

  test('of a path is Ready once a job was restored from it', async () => {
    const path = 's3://other/savepoints/a'
    api.put(SAVEPOINT, {
      apiVersion: 'weir.dev/v1alpha1',
      kind: 'Savepoint',
      metadata: { name: 'before', namespace: 'shop' },
      spec: { existingPath: path },
    })
    await until(() => state().phase === 'Unverified')
    submit({ restore: { savepointRef: { name: 'before' } } })
    await isRunning()
    expect(state().phase).toBe('Unverified')
    say({ state: 'Running', restoredFrom: `${path}/` })
    await until(() => state().phase === 'Completed')
  })

  test('that an older operator admitted and this one cannot read says which field', async () => {
    api.put(SAVEPOINT, {
      apiVersion: 'weir.dev/v1alpha1',
      kind: 'Savepoint',
      metadata: { name: 'before', namespace: 'shop' },
      spec: { streamJobRef: { name: 'orders' }, backoffLimit: 'many' },
    })
    await until(() => state().conditions?.find((c) => c.type === 'Ready')?.reason === 'SpecInvalid')
    expect(state().conditions?.find((c) => c.type === 'Ready')?.message).toMatch(/^spec\.backoffLimit: /)
    expect(state().conditions?.find((c) => c.type === 'Stalled')?.status).toBe('True')
    await until(() => events().some((e) => e.reason === 'SpecInvalid'))
  })

  test('whose status the API server refuses says so by an event', async () => {
    api.intercept = (r, response) =>
      r.path.endsWith('/savepoints/before/status') &&
      (fail(response, 403, 'Forbidden', 'savepoints "before" is forbidden: User "op" cannot update'), true)
    api.put(SAVEPOINT, {
      apiVersion: 'weir.dev/v1alpha1',
      kind: 'Savepoint',
      metadata: { name: 'before', namespace: 'shop' },
      spec: { streamJobRef: { name: 'orders' } },
    })
    const events = () => api.seen('POST', '/events').map((r) => r.body as { reason: string; message: string })
    await until(() => events().some((e) => e.reason === 'PermissionMissing'))
  })
})

/** After all others: what they made the operator do needs every right. */
describe('the rights in the chart', () => {
  test('are those that the operator uses, and no others', () => {
    // The chart adds it for single names: default credentials, and the key of the tokens.
    rightsUsed.delete('/secrets get')
    const used = new Set([...rightsUsed, ...UNSEEN])
    const given = rightsIn([...JOB_NAMESPACE_RULES, ...OPERATOR_NAMESPACE_RULES, ...CLUSTER_RULES])
    expect([...given].toSorted()).toEqual([...used].toSorted())
  })

  const UNSEEN = [
    // Asked by admission plugin OwnerReferencesPermissionEnforcement: the owner of what is made.
    'weir.dev/streamjobs/finalizers update',
  ]
})
