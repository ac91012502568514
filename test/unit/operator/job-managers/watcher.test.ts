import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import { silentLogger } from '#runtime/base/logger'
import type { JobFacts } from '#runtime/contract/rest'
import { JobManagerWatcher } from '#operator/job-managers/watcher'
import { facts } from '../stream-job/observed.ts'

/** Serves `/events` as a JobManager does; on several loopback addresses it is several pods. */
let server: http.Server
let streams: { readonly host: string; readonly response: http.ServerResponse }[]
let current: Record<string, JobFacts>
let changes: string[]
let watcher: JobManagerWatcher
let refusals: number

const JOB = 'shop/orders'
const A = { pod: 'jm-a', ip: '127.0.0.1' }
const B = { pod: 'jm-b', ip: '127.0.0.2' }
const until = (check: () => boolean) => expect.poll(check, { interval: 5, timeout: 4000 }).toBe(true)
const view = () => watcher.view(JOB)
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
  watcher = new JobManagerWatcher({
    clock: systemClock,
    random: () => 0.5,
    logger: silentLogger,
    onChange: (_key, urgency) => changes.push(urgency),
    port: (server.address() as AddressInfo).port,
    silenceMs: 300,
    backoff: { initialMs: 5, maxMs: 20, multiplier: 2, jitter: 0 },
  })
})

afterEach(async () => {
  watcher.close()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

test('shows the facts of the leader and where it is', async () => {
  watcher.follow(JOB, 'secret', [A])
  expect(view()).toMatchObject({ facts: undefined, hasAnswered: false })
  await until(() => view().facts !== undefined)
  expect(view()).toMatchObject({
    facts: { state: 'Running' },
    leader: { pod: 'jm-a', address: { token: 'secret' } },
    hasAnswered: true,
    leaderlessMs: 0,
  })
})

test('I3: reports what matters at once, checkpoints later, counters never', async () => {
  watcher.follow(JOB, 'secret', [A])
  await until(() => changes.length === 1)
  say(A.ip, { records: { in: 9, out: 9, perSecond: 9, outPerSecond: 9 } })
  const last = { id: 2, completedAt: 1, path: 'p', sizeBytes: 1, durationMs: 1 }
  say(A.ip, { checkpoint: { ...facts().checkpoint, last } })
  await until(() => changes.length === 2)
  say(A.ip, { checkpoint: { ...facts().checkpoint, last: { ...last, id: 3 } } })
  await until(() => changes.length === 3)
  say(A.ip, { state: 'Restarting' })
  await until(() => changes.length === 4)
  expect(changes).toEqual(['first', 'now', 'later', 'now'])
})

test('the highest epoch leads', async () => {
  current[B.ip] = facts({ leader: 'jm-b', epoch: 8 })
  watcher.follow(JOB, 'secret', [A, B])
  await until(() => view().leader?.pod === 'jm-b')
  expect(view().facts?.epoch).toBe(8)
})

test('a JobManager that cannot be reached has no facts, and is found again', async () => {
  watcher.follow(JOB, 'secret', [A])
  await until(() => view().facts !== undefined)
  server.closeAllConnections()
  await until(() => changes.length >= 2)
  await until(() => view().facts !== undefined)
  expect(view().hasAnswered).toBe(true)
})

test('I2: a silent stream is given up and opened again', async () => {
  watcher.follow(JOB, 'secret', [A])
  await until(() => changes.length >= 3)
  expect(changes.slice(0, 3)).toEqual(['first', 'now', 'now'])
})

test('without a leader only a common end counts', async () => {
  current = {
    [A.ip]: facts({ leading: false, state: 'Failed' }),
    [B.ip]: facts({ leading: false, state: 'Created' }),
  }
  watcher.follow(JOB, 'secret', [A, B])
  await until(() => changes.length === 2)
  expect(view()).toMatchObject({ facts: undefined, leader: undefined })
  say(B.ip, { leading: false, state: 'Failed' })
  await until(() => view().facts?.state === 'Failed')
  expect(view().leader).toBeUndefined()
})

test('without a leader it shows what keeps a JobManager from leading', async () => {
  const error = { code: 'STO_DENIED', message: 'refused', retry: 'never', context: {} } as const
  current[A.ip] = facts({ leading: false, state: 'Created', error })
  watcher.follow(JOB, 'secret', [A])
  await until(() => view().obstacle !== undefined)
  expect(view()).toMatchObject({ facts: undefined, obstacle: error })
  say(A.ip, { error })
  await until(() => view().leader !== undefined)
  expect(view().obstacle).toBeUndefined()
})

test('I1: follows the pods that it is given', async () => {
  watcher.follow(JOB, 'secret', [A])
  await until(() => streams.length === 1)
  watcher.follow(JOB, 'secret', [{ ...A, ip: B.ip }])
  await until(() => streams.length === 1 && streams[0]?.host === B.ip)
  watcher.follow(JOB, 'secret', [])
  await until(() => streams.length === 0)
  expect(view().facts).toBeUndefined()
  watcher.forget(JOB)
  expect(view()).toMatchObject({ hasAnswered: false, leaderlessMs: 0 })
})

test('sends the token of the job, and a new one to a new stream', async () => {
  watcher.follow(JOB, 'wrong', [A])
  await until(() => refusals > 0)
  expect(view().facts).toBeUndefined()
  watcher.follow(JOB, 'secret', [A])
  await until(() => view().facts !== undefined)
})

test('tells a JobManager that refuses or does not answer apart from one that does not lead', async () => {
  watcher.follow(JOB, 'wrong', [A])
  const lost = () => view().unreachable[0]
  await until(() => lost() !== undefined)
  const first = lost()
  expect(first).toMatchObject({ pod: 'jm-a' })
  expect(first?.message).toContain('failed with 401')
  await until(() => (lost()?.forMs ?? 0) > (first?.forMs ?? 0))
  current[A.ip] = facts({ leading: false, state: 'Created' })
  watcher.follow(JOB, 'secret', [A])
  await until(() => view().hasAnswered)
  expect(view()).toMatchObject({ leader: undefined, unreachable: [] })
  server.closeAllConnections()
  server.close()
  await until(() => lost()?.message.includes('does not answer') === true)
  server.listen(0)
  await once(server, 'listening')
})
