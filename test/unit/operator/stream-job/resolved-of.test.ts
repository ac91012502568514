import { expect, test } from 'vitest'
import { runConfigMap } from '#operator/resources/config-map'
import { resolvedOfConfig } from '#operator/stream-job/resolved-of'
import { defaults, JOB, resolved, runContext, spec } from '../fixtures.ts'

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
])('a run made of %s is read back from its ConfigMap', (_what, specOf, defaultsOf) => {
  const context = runContext({ spec: specOf, defaults: defaultsOf })
  const found = resolvedOfConfig({ job: JOB, spec: specOf, status: {} }, runConfigMap(context)['data'])
  expect(found).toEqual(resolved({ spec: specOf, defaults: defaultsOf }))
})

test.each([
  ['no data', undefined],
  ['no configuration', {}],
  ['something else', { 'job-manager.json': 'not JSON' }],
])('a ConfigMap with %s says nothing', (_what, data) => {
  expect(resolvedOfConfig({ job: JOB, spec: spec(), status: {} }, data)).toBeUndefined()
})
