import { afterEach, beforeEach, expect, test } from 'vitest'
import type { KubeObject } from '#operator/resources/object'
import { runConfigMap } from '#operator/resources/config-map'
import { resolvedOf } from '#operator/stream-job/resolved-of'
import { TestApiServer } from '#test/kit/kube-api-server'
import { defaults, JOB, resolved, runContext, spec } from '../fixtures.ts'

let api: TestApiServer
beforeEach(async () => {
  api = await TestApiServer.start()
})
afterEach(() => api.close())

const run = { specHash: 'h', generation: 1, startedAt: '2030-01-01T00:00:00.000Z' }
const store = (object: KubeObject) =>
  api.put(`/api/v1/namespaces/shop/configmaps/${object.metadata.name}`, {
    ...object,
    metadata: { ...object.metadata },
  })
const read = (specOf: ReturnType<typeof spec>) => {
  const subject = { job: JOB, spec: specOf, status: { runId: '3', run } }
  return resolvedOf(api.client(), subject, AbortSignal.timeout(10_000))
}

const withRedis = defaults({
  storage: {
    s3: { bucket: 'shared', endpoint: 'http://s3:9000', credentialsSecret: 's3-root', caBundle: 'PEM' },
  },
  redis: { url: 'rediss://r', caBundle: 'PEM2' },
})
const own = spec({
  storage: {
    s3: {
      bucket: 'own',
      prefix: 'a/b',
      credentialsSecretRef: { name: 'keys' },
      caConfigMapKeyRef: { name: 'ca' },
    },
  },
})

test.each([
  ['defaults', spec(), defaults()],
  ['defaults with authorities and Redis', spec(), withRedis],
  ['its own storage', own, defaults()],
])('a run made of %s is read back from its ConfigMap', async (_what, specOf, defaultsOf) => {
  store(runConfigMap(runContext({ spec: specOf, defaults: defaultsOf })))
  expect(await read(specOf)).toEqual(resolved({ spec: specOf, defaults: defaultsOf }))
})

test.each([
  ['no data', {}],
  ['no configuration', { data: {} }],
  ['something else', { data: { 'job-manager.json': 'not JSON' } }],
])('a ConfigMap with %s says nothing', async (_what, over) => {
  const { data: _data, ...rest } = runConfigMap(runContext())
  store({ ...rest, ...over })
  expect(await read(spec())).toBeUndefined()
})

test('nor does one that is gone; what the status has is not read again', async () => {
  expect(await read(spec())).toBeUndefined()
  const before = api.requests.length
  const value = resolved({ spec: spec(), defaults: defaults() })
  const subject = { job: JOB, spec: spec(), status: { runId: '3', run, resolved: value } }
  expect(await resolvedOf(api.client(), subject, AbortSignal.timeout(10_000))).toEqual(value)
  expect(api.requests.length).toBe(before)
})
