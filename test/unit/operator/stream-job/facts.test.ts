import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import { silentLogger } from '#runtime/base/logger'
import type { JobFacts } from '#runtime/contract/rest'
import { FactsHub } from '#operator/stream-job/facts'
import { JobClient } from '#operator/stream-job/job-client'
import { facts } from './observed.ts'

/** Serves `/events` as a JobManager does; on several loopback addresses it is several pods. */
let server: http.Server
let streams: { readonly host: string; readonly response: http.ServerResponse }[]
let current: Record<string, JobFacts>
let changes: boolean[]
let hub: FactsHub
let client: JobClient
let refusals: number

const A = { pod: 'jm-a', ip: '127.0.0.1' }
const B = { pod: 'jm-b', ip: '127.0.0.2' }
const until = (check: () => boolean) => expect.poll(check, { interval: 5, timeout: 4000 }).toBe(true)
const say = (host: string, over: Partial<JobFacts>): void => {
  current[host] = facts(over)
  for (const s of streams) if (s.host === host) s.response.write(`${JSON.stringify(current[host])}\n`)
}

beforeEach(async () => {
  streams = []
  current = { '127.0.0.1': facts() }
  changes = []
  refusals = 0
  server = http.createServer((request, response) => {
    if (request.headers.authorization !== 'Bearer secret') {
      refusals++
      response.writeHead(401).end('{}')
      return
    }
    const host = request.socket.localAddress ?? ''
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.write(`${JSON.stringify(current[host] ?? facts({ leading: false }))}\n`)
    const stream = { host, response }
    streams.push(stream)
    response.on('close', () => (streams = streams.filter((s) => s !== stream)))
  })
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  client = new JobClient()
  hub = new FactsHub({
    client,
    clock: systemClock,
    random: () => 0.5,
    logger: silentLogger,
    onChange: (_key, urgent) => changes.push(urgent),
    port: (server.address() as AddressInfo).port,
    idleMs: 300,
    backoff: { initialMs: 5, maxMs: 20, multiplier: 2, jitter: 0 },
  })
})

afterEach(async () => {
  hub.close()
  client.close()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

test('shows the facts of the leader and where it is', async () => {
  hub.sync('shop/orders', 'secret', [A])
  expect(hub.view('shop/orders')).toMatchObject({ facts: undefined, answered: false })
  await until(() => hub.view('shop/orders').facts !== undefined)
  expect(hub.view('shop/orders')).toMatchObject({
    facts: { state: 'Running' },
    leader: { pod: 'jm-a' },
    answered: true,
    leaderlessMs: 0,
  })
})

test('I3: tells what matters at once, checkpoints later, counters never', async () => {
  hub.sync('k', 'secret', [A])
  await until(() => changes.length === 1)
  say(A.ip, { records: { in: 9, out: 9, perSecond: 9 } })
  const last = { id: 2, completedAt: 1, path: 'p', sizeBytes: 1, durationMs: 1 }
  say(A.ip, { checkpoint: { ...facts().checkpoint, last } })
  await until(() => changes.length === 2)
  say(A.ip, { checkpoint: { ...facts().checkpoint, last: { ...last, id: 3 } } })
  await until(() => changes.length === 3)
  say(A.ip, { state: 'Restarting' })
  await until(() => changes.length === 4)
  expect(changes).toEqual([true, true, false, true])
})

test('the highest epoch leads', async () => {
  current[B.ip] = facts({ leader: 'jm-b', epoch: 8 })
  hub.sync('k', 'secret', [A, B])
  await until(() => hub.view('k').leader?.pod === 'jm-b')
})

test('a JobManager that cannot be reached has no facts, and is found again', async () => {
  hub.sync('k', 'secret', [A])
  await until(() => hub.view('k').facts !== undefined)
  server.closeAllConnections()
  await until(() => changes.length >= 2)
  await until(() => hub.view('k').facts !== undefined)
  expect(hub.view('k').answered).toBe(true)
})

test('I2: a silent stream is given up and opened again', async () => {
  hub.sync('k', 'secret', [A])
  await until(() => changes.length >= 3)
  expect(changes.every((urgent) => urgent)).toBe(true)
})

test('without a leader only a common end counts', async () => {
  current = {
    [A.ip]: facts({ leading: false, state: 'Failed' }),
    [B.ip]: facts({ leading: false, state: 'Created' }),
  }
  hub.sync('k', 'secret', [A, B])
  await until(() => changes.length === 2)
  expect(hub.view('k')).toMatchObject({ facts: undefined, leader: undefined })
  say(B.ip, { leading: false, state: 'Failed' })
  await until(() => hub.view('k').facts?.state === 'Failed')
  expect(hub.view('k').leader).toBeUndefined()
})

test('I1: follows the pods that it is given', async () => {
  hub.sync('k', 'secret', [A])
  await until(() => streams.length === 1)
  hub.sync('k', 'secret', [{ ...A, ip: B.ip }])
  await until(() => streams.length === 1 && streams[0]?.host === B.ip)
  hub.sync('k', 'secret', [])
  await until(() => streams.length === 0)
  expect(hub.view('k').facts).toBeUndefined()
  hub.drop('k')
  expect(hub.view('k')).toMatchObject({ answered: false, leaderlessMs: 0 })
})

test('sends the token of the job', async () => {
  hub.sync('k', 'wrong', [A])
  await until(() => refusals > 0)
  hub.sync('k', 'secret', [A])
  await until(() => hub.view('k').facts !== undefined)
})
