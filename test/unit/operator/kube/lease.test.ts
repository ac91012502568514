import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock, type Clock } from '#runtime/base/clock'
import { silentLogger } from '#runtime/base/logger'
import { KubeEventRecorder } from '#operator/kube/events'
import { LeaseElector } from '#operator/kube/lease'
import { fail, TestApiServer } from '#test/kit/kube-api-server'

let server: TestApiServer
beforeEach(async () => (server = await TestApiServer.start()))
afterEach(() => server.close())

const LEASE = '/apis/coordination.k8s.io/v1/namespaces/weir/leases/op'
const holder = () =>
  (server.objects.get(LEASE)?.['spec'] as { holderIdentity?: string } | undefined)?.holderIdentity
const elector = (identity: string, clock: Clock = systemClock, limits: object = {}) =>
  new LeaseElector({
    client: server.client(),
    namespace: 'weir',
    name: 'op',
    identity,
    durationMs: 300,
    renewDeadlineMs: 200,
    retryMs: 20,
    clock,
    random: () => 0,
    logger: silentLogger,
    ...limits,
  })

test('one of two leads, and the other follows at once after a release', async () => {
  const first = new AbortController()
  const a = elector('a')
  await a.acquire(first.signal)
  const held = a.hold(first.signal)
  const b = elector('b').acquire(new AbortController().signal)
  await expect.poll(() => server.seen('GET', '/leases/').length, { interval: 5 }).toBeGreaterThan(4)
  expect(holder()).toBe('a')
  first.abort()
  expect(await held).toBe('released')
  await b
  expect(holder()).toBe('b')
})

test('I1: a leader that disappeared is replaced after the duration, measured on the own clock', async () => {
  let offset = 0
  const clock: Clock = { ...systemClock, monotonic: () => performance.now() + offset }
  await elector('a').acquire(new AbortController().signal)
  const won = elector('b', clock).acquire(new AbortController().signal)
  await expect.poll(() => server.seen('GET', '/leases/').length, { interval: 5 }).toBeGreaterThan(2)
  expect(holder()).toBe('a')
  offset = 10_000
  await won
  expect(holder()).toBe('b')
})

test('I3: a leader that cannot renew counts itself as deposed', async () => {
  const a = elector('a')
  const signal = new AbortController().signal
  await a.acquire(signal)
  server.intercept = (_r, response) => (fail(response, 500, 'InternalError'), true)
  expect(await a.hold(signal)).toBe('lost')
})

test('I3: a leader whose renewal hangs has stopped before another one leads', async () => {
  const ends: string[] = []
  const signal = new AbortController().signal
  const [a, b] = [elector('a'), elector('b')]
  await a.acquire(signal)
  server.intercept = (r) => r.method === 'PUT' && JSON.stringify(r.body).includes('"holderIdentity":"a"')
  const held = a.hold(signal).then((end) => ends.push(`a ${end}`))
  await b.acquire(signal)
  ends.push('b leads')
  expect(ends).toEqual(['a lost', 'b leads'])
  await held
})

test('a renewal that hangs is given up early enough to try again', async () => {
  const a = elector('a', systemClock, { durationMs: 9000, renewDeadlineMs: 6000 })
  const stop = new AbortController()
  await a.acquire(stop.signal)
  let hangs = 1
  server.intercept = (r) => r.method === 'PUT' && hangs-- > 0
  const held = a.hold(stop.signal)
  await expect.poll(() => server.seen('PUT', '/leases/').length, { timeout: 5900 }).toBeGreaterThan(1)
  stop.abort()
  expect(await held).toBe('released')
})

test('I3: the time of a leader runs from before its renewal was sent', async () => {
  let offset = 0
  const clock: Clock = { ...systemClock, monotonic: () => performance.now() + offset }
  const a = elector('a', clock)
  const signal = new AbortController().signal
  await a.acquire(signal)
  server.intercept = (r) => {
    // This answer is late, and no further one comes.
    if (r.method === 'PUT') offset = 250
    return offset > 0 && r.method !== 'PUT'
  }
  expect(await a.hold(signal)).toBe('lost')
  expect(server.seen('PUT', '/leases/')).toHaveLength(1)
})

test('a leader whose lease was taken stops', async () => {
  const a = elector('a')
  const signal = new AbortController().signal
  await a.acquire(signal)
  const held = a.hold(signal)
  server.put(LEASE, {
    ...server.objects.get(LEASE)!,
    spec: { holderIdentity: 'b', leaseDurationSeconds: 15 },
  })
  expect(await held).toBe('lost')
})

test('equal events become one whose count grows, and a refusal is no error', async () => {
  const recorder = new KubeEventRecorder({
    client: server.client(),
    clock: systemClock,
    logger: silentLogger,
    identity: 'x',
  })
  const object = {
    apiVersion: 'weir.dev/v1alpha1',
    kind: 'StreamJob',
    metadata: { name: 'orders', namespace: 'shop', uid: 'u' },
  }
  const events = () => [...server.objects.values()].filter((o) => o.kind === 'Event')
  recorder.emit(object, 'Normal', 'RunStarted', 'run 1')
  recorder.emit(object, 'Normal', 'RunStarted', 'run 1')
  recorder.emit(object, 'Normal', 'RunStarted', 'run 2')
  await recorder.flush()
  expect(events().map((e) => e['count'])).toEqual([2, 1])
  server.intercept = (_r, response) => (
    fail(response, 403, 'Forbidden', 'namespace is being terminated'),
    true
  )
  recorder.emit(object, 'Warning', 'JobFailed', 'x')
  await recorder.flush()
  expect(events()).toHaveLength(2)
})
