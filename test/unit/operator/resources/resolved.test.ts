import { describe, expect, test } from 'vitest'
import { streamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import {
  chooseStorage,
  credentialsCopies,
  driftOf,
  namedStorage,
  type StorageQuestion,
} from '#operator/resources/resolved'
import { defaults, JOB, resolved, spec } from '../fixtures.ts'

const own = (over: object) => spec({ storage: { s3: { bucket: 'shared', prefix: 'weir', ...over } } })
const byDefault = (over: object) =>
  defaults({ storage: { s3: { bucket: 'shared', prefix: 'weir', credentialsSecret: 's3-root', ...over } } })
const pinned = resolved({ spec: spec(), defaults: byDefault({ endpoint: 'http://s3:9000' }) })
const ask = (over: Partial<StorageQuestion>) =>
  chooseStorage({
    job: JOB,
    pinned: pinned.storage,
    named: pinned.storage,
    storagePath: undefined,
    isRestoring: false,
    ...over,
  })
const named = (specOf = spec(), defaultsOf = defaults()) => namedStorage(JOB, specOf, defaultsOf)

describe('chooseStorage()', () => {
  test('the first run takes what is named', () => {
    expect(ask({ pinned: undefined })).toEqual({ kind: 'use', storage: pinned.storage })
    expect(ask({ pinned: undefined, named: undefined })).toEqual({ kind: 'missing' })
  })

  test('a later run keeps its place whatever the defaults become', () => {
    for (const bucket of ['other', 'another']) {
      const elsewhere = named(spec(), byDefault({ bucket }))
      expect(ask({ named: elsewhere })).toEqual({ kind: 'use', storage: pinned.storage })
      expect(ask({ named: elsewhere, isRestoring: true })).toEqual({ kind: 'use', storage: pinned.storage })
    }
    expect(ask({ named: undefined })).toEqual({ kind: 'use', storage: pinned.storage })
  })

  test('the way to the same place follows what is named', () => {
    const again = named(spec(), byDefault({ endpoint: 'http://s3:9000/', region: 'eu-1', caBundle: 'PEM' }))
    expect(ask({ named: again })).toEqual({ kind: 'use', storage: again })
    const written = named(own({ endpoint: 'http://s3:9000', credentialsSecretRef: { name: 'mine' } }))
    expect(ask({ named: written })).toMatchObject({
      kind: 'use',
      storage: { source: 'Spec', credentialsSecret: 'mine' },
    })
  })

  test.each([
    ['bucket', { bucket: 'other', endpoint: 'http://s3:9000' }],
    ['prefix', { prefix: 'other', endpoint: 'http://s3:9000' }],
    ['endpoint', { endpoint: 'http://elsewhere:9000' }],
  ])('another %s in the spec is refused, unless a restore says what to start from', (_what, over) => {
    const elsewhere = named(own(over))
    expect(ask({ named: elsewhere })).toMatchObject({
      kind: 'conflict',
      files: 's3://shared/weir at http://s3:9000',
    })
    expect(ask({ named: elsewhere, isRestoring: true })).toEqual({ kind: 'use', storage: elsewhere })
  })

  test('where only the path of the files is on record, nothing else is taken for it', () => {
    const storagePath = `s3://shared/weir/shop/orders/${JOB.uid}`
    expect(ask({ pinned: undefined, storagePath }).kind).toBe('use')
    expect(
      ask({ pinned: undefined, storagePath, named: named(spec(), byDefault({ bucket: 'other' })) }),
    ).toEqual({ kind: 'conflict', named: 's3://other/weir', files: storagePath })
  })
})

describe('driftOf()', () => {
  const drift = (specOf: ReturnType<typeof spec>, defaultsOf: ReturnType<typeof defaults>) =>
    driftOf(JOB, pinned, { spec: specOf, defaults: defaultsOf }).map((d) => d.now)

  test('names what the default is now, or that there is none', () => {
    expect(drift(spec(), byDefault({ endpoint: 'http://s3:9000' }))).toEqual([])
    expect(drift(spec(), byDefault({ bucket: 'other' }))).toEqual(['s3://other/weir'])
    expect(drift(spec(), defaults({ storage: undefined }))).toEqual([undefined])
    expect(drift(own({ endpoint: 'http://s3:9000' }), byDefault({ bucket: 'other' }))).toEqual([])
  })

  test('a Redis that a run has is compared, one that it has not is nothing', () => {
    const redis = (url: string) => defaults({ redis: { url } })
    const has = resolved({ spec: spec(), defaults: redis('redis://a') })
    const now = (of: ReturnType<typeof defaults>) => driftOf(JOB, has, { spec: spec(), defaults: of })
    expect(now(redis('redis://a'))).toEqual([])
    expect(now(redis('redis://b'))).toMatchObject([{ of: 'redis', now: 'redis://b (keys weir...)' }])
    expect(driftOf(JOB, { storage: has.storage }, { spec: spec(), defaults: redis('redis://b') })).toEqual([])
  })
})

test('credentials are copied only while the defaults are those that the job uses', () => {
  const copies = (of: ReturnType<typeof defaults>) => credentialsCopies({ job: JOB, resolved: pinned }, of)
  expect(copies(byDefault({ endpoint: 'http://s3:9000', credentialsSecret: 'next' }))).toEqual([
    { of: 'storage', from: 'next', name: 'orders-weir-s3-11111111' },
  ])
  expect(copies(byDefault({ bucket: 'other' }))).toEqual([])
})

test('what is resolved fits the schema of the status and holds no secret', () => {
  const withRedis = defaults({
    redis: { url: 'rediss://r', credentialsSecret: 'redis-root', caBundle: 'PEM' },
  })
  const value = resolved({ spec: spec(), defaults: withRedis })
  expect(streamJobStatus.parse({ resolved: value })).toEqual({ resolved: value })
})
