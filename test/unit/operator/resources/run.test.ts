import { describe, expect, test } from 'vitest'
import { jobManagerConfig, taskManagerConfig } from '#runtime/contract/process-config'
import {
  JOB_MANAGER_KEYS,
  type KeysByVersion,
  OLDEST_RUNTIME,
  TASK_MANAGER_KEYS,
} from '#runtime/contract/process-config-keys'
import { runConfigMap } from '#operator/resources/config-map'
import { disruptionBudgets } from '#operator/resources/disruption-budget'
import { networkPolicy } from '#operator/resources/network-policy'
import { jobToken, tokenSecret } from '#operator/resources/secret'
import { headlessService, restService } from '#operator/resources/service'
import { specHash, restoreHash } from '#operator/resources/spec-hash'
import type { RunContext } from '#operator/resources/run-context'
import { defaults, JOB, runContext, spec } from '../fixtures.ts'

const data = (context: RunContext): Record<string, string> =>
  runConfigMap(context)['data'] as Record<string, string>
const jobManager = (context: RunContext) =>
  jobManagerConfig.parse(JSON.parse(data(context)['job-manager.json']!))
const taskManager = (context: RunContext) =>
  taskManagerConfig.parse(JSON.parse(data(context)['task-manager.json']!))

function* keysOf(of: object, at = ''): Generator<string> {
  for (const [name, value] of Object.entries(of) as [string, unknown][]) {
    yield `${at}${name}`
    const isPart = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (isPart) yield* keysOf(value, `${at}${name}.`)
  }
}

describe('runConfigMap()', () => {
  test('holds what the processes of the run read', () => {
    const context = runContext({
      spec: spec({ job: { inline: 'x', args: { a: [1] } }, taskManager: { replicas: 2, slots: 3 } }),
    })
    expect(runConfigMap(context)).toMatchObject({
      metadata: { name: 'orders-run-3-11111111' },
      immutable: true,
    })
    expect(jobManager(context)).toMatchObject({
      job: { cluster: 'cluster-uid', namespace: 'shop', name: 'orders', uid: JOB.uid },
      run: 3,
      id: '$(POD_NAME)',
      tokenFile: '/etc/weir/token/token',
      module: { path: '/etc/weir/config/job.ts', args: { a: [1] } },
      expectedSlots: 6,
      maxParallelism: 128,
      storage: {
        type: 's3',
        bucket: 'shared',
        root: `weir/shop/orders/${JOB.uid}`,
        access: { credentialsDir: '/etc/weir/s3' },
      },
      checkpoint: { intervalMs: 10_000, timeoutMs: 300_000, minPauseMs: 500 },
      restart: { strategy: 'ExponentialDelay', delayMs: 1000, maxDelayMs: 60_000, windowMs: 600_000 },
      rpc: { port: 6123 },
      rest: { port: 8081 },
    })
    expect(jobManager(context)).not.toHaveProperty('restore')
    expect(jobManager(context)).not.toHaveProperty('redis')
    expect(taskManager(context)).toMatchObject({
      run: 3,
      slots: 3,
      jobManagers: ['orders-jm.shop.svc:6123'],
      data: { port: 6124, advertise: '$(POD_IP)' },
    })
    expect(data(context)['job.ts']).toBe('export default 1')
  })

  test('holds no key that the oldest runtime which is served refuses', () => {
    const context = runContext({ spec: spec({ redis: { url: 'redis://r' }, job: { inline: 'x' } }) })
    const written = (file: string) => [...keysOf(JSON.parse(data(context)[file]!) as object)]
    const known = (keys: KeysByVersion) => keys[OLDEST_RUNTIME] ?? []
    expect(written('job-manager.json').filter((key) => !known(JOB_MANAGER_KEYS).includes(key))).toEqual([])
    expect(written('task-manager.json').filter((key) => !known(TASK_MANAGER_KEYS).includes(key))).toEqual([])
  })

  test('a module in the image is named, not copied', () => {
    const context = runContext({ module: { kind: 'path', path: 'jobs/orders.ts' } })
    expect(jobManager(context).module.path).toBe('jobs/orders.ts')
    expect(data(context)).not.toHaveProperty('job.ts')
  })

  test('authorities of the defaults travel with the run', () => {
    const context = runContext({
      defaults: defaults({ redis: { url: 'rediss://r', caBundle: 'PEM', credentialsSecret: 'r' } }),
    })
    expect(jobManager(context).redis).toMatchObject({
      url: 'rediss://r',
      caFile: '/etc/weir/config/redis-ca.crt',
      credentialsDir: '/etc/weir/redis',
    })
    expect(data(context)['redis-ca.crt']).toBe('PEM')
  })

  test('a restore block reaches the JobManager only', () => {
    const context = runContext({ restore: { path: 's3://a/b', allowNonRestoredState: true } })
    expect(jobManager(context).restore).toEqual({ path: 's3://a/b', allowNonRestoredState: true })
    expect(data(context)['task-manager.json']).not.toContain('restore')
  })
})

describe('Services and policies', () => {
  const headlessSelector = { matchLabels: { 'weir.dev/job': 'orders', 'weir.dev/component': 'job-manager' } }

  test('TaskManagers resolve every JobManager, ready or not; REST is the leader', () => {
    expect(headlessService(JOB)).toMatchObject({
      metadata: { name: 'orders-jm' },
      spec: { clusterIP: 'None', publishNotReadyAddresses: true },
    })
    expect(restService(JOB)).toMatchObject({
      metadata: { name: 'orders-rest' },
      spec: { selector: { 'weir.dev/leader': 'true' } },
    })
  })

  test('a drain takes one pod of each kind at a time, and never waits for one that is not ready', () => {
    const spec = { maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow' }
    expect(disruptionBudgets(JOB)).toMatchObject([
      { metadata: { name: 'orders-jm' }, spec: { ...spec, selector: headlessSelector } },
      { metadata: { name: 'orders-tm' }, spec },
    ])
  })

  test('RPC and data ports are for pods of the job', () => {
    expect(networkPolicy(JOB)).toMatchObject({
      spec: {
        policyTypes: ['Ingress'],
        ingress: [{ from: [{ podSelector: {} }] }, { ports: [{ port: 8081 }] }],
      },
    })
  })
})

describe('tokens', () => {
  const key = Buffer.from('key')
  test('depend on the key and the uid and on nothing else', () => {
    expect(jobToken(key, JOB)).toBe(jobToken(key, { ...JOB, name: 'other' }))
    expect(jobToken(key, JOB)).not.toBe(jobToken(key, { ...JOB, uid: 'u' }))
    expect(jobToken(key, JOB)).not.toBe(jobToken(Buffer.from('other'), JOB))
  })

  test('are stored base64 under the key that the processes read', () => {
    const stored = (tokenSecret(key, JOB)['data'] as Record<string, string>)['token']!
    expect(Buffer.from(stored, 'base64').toString()).toBe(jobToken(key, JOB))
  })
})

describe('specHash()', () => {
  const base = specHash(spec(), undefined)
  test.each([
    ['state', { state: 'Suspended' }],
    ['upgrade', { upgrade: { mode: 'Savepoint' } }],
    ['restore', { restore: { empty: true } }],
    ['a value equal to its default', { checkpoint: { interval: '10s' }, logLevel: 'Info' }],
  ])('is the same for %s', (_what, over) => expect(specHash(spec(over), undefined)).toBe(base))

  test.each([
    ['another interval', { checkpoint: { interval: '11s' } }],
    ['another image', { image: 'weir:2' }],
    ['pods of one component', { jobManager: { podTemplate: { spec: { hostNetwork: true } } } }],
    ['arguments', { job: { inline: 'export default 1', args: { a: 1 } } }],
    ['more TaskManagers', { taskManager: { replicas: 2 } }],
  ])('differs for %s', (_what, over) => expect(specHash(spec(over), undefined)).not.toBe(base))

  test('does not depend on the number of TaskManagers where parallelism is fixed', () => {
    const fixed = (replicas: number) =>
      specHash(spec({ parallelism: 2, taskManager: { replicas } }), undefined)
    expect(fixed(2)).toBe(fixed(5))
  })

  test('depends on whether there are standbys, but not on how many', () => {
    const withReplicas = (replicas: number) => specHash(spec({ jobManager: { replicas } }), undefined)
    expect(withReplicas(2)).not.toBe(base)
    expect(withReplicas(2)).toBe(withReplicas(3))
  })

  test('depends on the content of a referenced module', () => {
    const referenced = spec({ job: { configMapKeyRef: { name: 'code' } } })
    expect(specHash(referenced, 'a')).not.toBe(specHash(referenced, 'b'))
  })

  test('restoreHash() changes with the nonce', () => {
    const restore = (nonce: string) => restoreHash(spec({ restore: { path: 's3://a/b', nonce } }).restore)
    expect(restore('1')).not.toBe(restore('2'))
    expect(restoreHash(undefined)).toBeUndefined()
  })
})
