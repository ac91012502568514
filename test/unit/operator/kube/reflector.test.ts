import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import { silentLogger } from '#runtime/base/logger'
import { Reflector } from '#operator/kube/reflector'
import { RESOURCES } from '#operator/kube/resource'
import { keyOf, Store } from '#operator/kube/store'
import type { KubeObject } from '#operator/resources/object'
import { fail, TestApiServer } from '#test/kit/kube-api-server'

let server: TestApiServer
let stop: AbortController
let store: Store<KubeObject>
let running: Promise<void>
let reflector: Reflector<KubeObject>

const POD = '/api/v1/namespaces/a/pods'
const pod = (name: string, labels = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'a', labels, managedFields: [{}] },
})
const names = (): string[] => [...store.values()].map((o) => o.metadata.name).sort()
const until = (check: () => boolean) => expect.poll(check, { interval: 5, timeout: 4000 }).toBe(true)
const lists = () => server.seen('GET', '/pods').filter((r) => !r.query.has('watch')).length
const watches = () => server.seen('GET', '/pods').filter((r) => r.query.has('watch'))

function start(options: { idleMs?: number; pageSize?: number; namespace?: string } = {}): void {
  store = new Store<KubeObject>((o) => Object.values(o.metadata.labels ?? {}).map((app) => keyOf('a', app)))
  const client = server.client()
  const backoff = { initialMs: 5, maxMs: 20, multiplier: 2, jitter: 0 }
  reflector = new Reflector({
    client,
    resource: RESOURCES.Pod,
    store,
    clock: systemClock,
    random: () => 0.5,
    logger: silentLogger,
    backoff,
    ...options,
  })
  running = reflector.run(stop.signal)
}

beforeEach(async () => {
  server = await TestApiServer.start()
  stop = new AbortController()
})
afterEach(async () => {
  stop.abort()
  await running
  await server.close()
})

test('lists in pages, then follows additions, changes and removals', async () => {
  for (const name of ['p1', 'p2', 'p3']) server.put(`${POD}/${name}`, pod(name))
  start({ pageSize: 2 })
  await reflector.synced
  expect(names()).toEqual(['p1', 'p2', 'p3'])
  expect(lists()).toBe(2)
  await until(() => server.watcherCount === 1)
  server.put(`${POD}/p4`, pod('p4'))
  server.remove(`${POD}/p1`)
  await until(() => names().join() === 'p2,p3,p4')
  expect(store.get('a', 'p2')?.metadata).not.toHaveProperty('managedFields')
  expect(store.get('a', 'p2')?.kind).toBe('Pod')
  expect(watches()[0]?.query.get('allowWatchBookmarks')).toBe('true')
})

test('I1: opens a stream that ended at the version of the last bookmark, without listing again', async () => {
  start()
  await reflector.synced
  await until(() => server.watcherCount === 1)
  server.send('pods', { type: 'BOOKMARK', object: { metadata: { resourceVersion: '777' } } })
  server.endWatches()
  await until(() => watches().length === 2 && server.watcherCount === 1)
  expect(watches()[1]?.query.get('resourceVersion')).toBe('777')
  expect(lists()).toBe(1)
})

test('I1: comes back after the connection broke and misses nothing', async () => {
  start()
  await reflector.synced
  await until(() => server.watcherCount === 1)
  server.put(`${POD}/p1`, pod('p1'))
  await until(() => names().join() === 'p1')
  server.cut()
  server.put(`${POD}/p2`, pod('p2'))
  await until(() => names().join() === 'p1,p2')
  expect(lists()).toBe(1)
})

test('I2: 410 inside the stream leads to a new list that removes what has gone', async () => {
  server.put(`${POD}/p1`, pod('p1'))
  start()
  await reflector.synced
  await until(() => server.watcherCount === 1)
  server.objects.delete(`${POD}/p1`)
  server.send('pods', {
    type: 'ERROR',
    object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' },
  })
  await until(() => lists() === 2)
  await until(() => names().length === 0)
})

test('I2: 410 as an answer leads to a new list', async () => {
  let gone = 1
  server.intercept = (r, response) =>
    r.query.has('watch') && gone-- > 0 && (fail(response, 410, 'Expired'), true)
  start()
  await until(() => lists() === 2 && server.watcherCount === 1)
})

test('I3: a silent stream is given up and opened again', async () => {
  start({ idleMs: 40 })
  await reflector.synced
  await until(() => watches().length >= 3)
  expect(lists()).toBe(1)
})

test('I4: keeps trying when listing fails', async () => {
  let failures = 3
  server.intercept = (r, response) =>
    !r.query.has('watch') && failures-- > 0 && (fail(response, 500, 'InternalError'), true)
  start()
  await reflector.synced
  expect(lists()).toBe(4)
})

test('watches one namespace where asked', async () => {
  server.put('/api/v1/namespaces/b/pods/other', {
    ...pod('other'),
    metadata: { name: 'other', namespace: 'b' },
  })
  server.put(`${POD}/p1`, pod('p1', { app: 'x' }))
  start({ namespace: 'a' })
  await reflector.synced
  expect(names()).toEqual(['p1'])
  expect(store.indexed('a/x').map((o) => o.metadata.name)).toEqual(['p1'])
})
