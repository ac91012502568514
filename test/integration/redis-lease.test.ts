import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { Redis } from 'ioredis'
import { silentLogger } from '#runtime/base/logger'
import type { RedisConfig } from '#runtime/contract/process-config'
import type { ElectionState } from '#runtime/election/lease'
import { RedisLease } from '#runtime/election/redis-lease'
import { leaseKeys } from '#runtime/election/redis-lease-store'
import { eventually } from '#tools/servers/eventually'
import { freePort } from '#tools/servers/free-port'
import { type RedisOptions, type RedisServer, startRedis } from '#tools/servers/redis'
import { tempDir } from '#tools/servers/temp-dir'

const TTL_MS = 1000
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function redisServer(options: RedisOptions = {}): Promise<{ server: RedisServer; admin: Redis }> {
  const server = await startRedis(options)
  const admin = new Redis(server.port, '127.0.0.1', {
    retryStrategy: () => 50,
    ...(options.password === undefined ? {} : { password: options.password }),
  })
  admin.on('error', () => undefined)
  cleanups.push(async () => {
    admin.disconnect()
    await server.stop()
  })
  return { server, admin }
}

interface Candidate {
  readonly lease: RedisLease
  readonly history: ElectionState[]
  leads(limitMs?: number): Promise<number>
}

function candidate(url: string, id: string, more: Partial<RedisConfig> & { floor?: number } = {}): Candidate {
  const { floor = 1, ...redis } = more
  const lease = new RedisLease({
    redis: { url, keyPrefix: 'weir', ttlMs: TTL_MS, ...redis },
    uid: 'uid-1',
    id,
    logger: silentLogger,
  })
  const history: ElectionState[] = []
  lease.campaign(floor, (state) => history.push(state))
  cleanups.push(() => lease.close())
  const epoch = (): number | undefined =>
    lease.state.kind === 'leading' ? lease.state.redisEpoch : undefined
  return {
    lease,
    history,
    leads: (limitMs = 10_000) => eventually(epoch, { limitMs, what: `${id} leads`, everyMs: 5 }),
  }
}

const standsBy = (c: Candidate, leader: string): Promise<unknown> =>
  eventually(() => c.lease.state.kind === 'standby' && c.lease.state.leader === leader, {
    limitMs: 10_000,
    what: `standby behind ${leader}`,
  })
const keys = leaseKeys('weir', 'uid-1')

describe('a lease in Redis', () => {
  test('is won by one of several candidates, the others stand by and know who leads', async () => {
    const { server, admin } = await redisServer()
    const all = ['a', 'b', 'c'].map((id) => candidate(server.url, id))
    const leader = await eventually(() => all.find((c) => c.lease.state.kind === 'leading'), {
      limitMs: 10_000,
      what: 'a leader',
    })
    const id = ((await admin.get(keys.leader)) ?? '').split(':')[0] as string
    for (const c of all) if (c !== leader) await standsBy(c, id)
    expect(all.filter((c) => c.lease.state.kind === 'leading')).toHaveLength(1)
  })

  test('counts epochs up, to at least the floor', async () => {
    const { server } = await redisServer()
    const first = candidate(server.url, 'a', { floor: 40 })
    expect(await first.leads()).toBe(40)
    await first.lease.close()
    expect(await candidate(server.url, 'b').leads()).toBe(41)
  })

  test('goes to the standby at once when it is released', async () => {
    const { server } = await redisServer()
    const ttlMs = 20_000
    const a = candidate(server.url, 'a', { ttlMs })
    await a.leads()
    const standby = candidate(server.url, 'b', { ttlMs })
    await standsBy(standby, 'a')
    const released = performance.now()
    await a.lease.close()
    expect(await standby.leads()).toBe(2)
    expect(performance.now() - released).toBeLessThan(2000)
  })

  test('goes to the standby within the time to live and a second when the holder falls silent', async () => {
    const { server, admin } = await redisServer()
    // A holder that took the lease and was killed: nobody renews, nobody releases.
    await admin.set(keys.epoch, 5)
    await admin.set(keys.leader, `dead:${'0'.repeat(32)}:5`, 'PX', TTL_MS)
    const started = performance.now()
    const b = candidate(server.url, 'b')
    expect(await b.leads()).toBe(6)
    expect(performance.now() - started).toBeLessThan(TTL_MS + 1000)
  })

  test('is kept while the main thread is blocked', async () => {
    const { server } = await redisServer()
    const a = candidate(server.url, 'a')
    await a.leads()
    const b = candidate(server.url, 'b')
    await standsBy(b, 'a')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TTL_MS * 3)
    await new Promise((resolve) => setImmediate(resolve))
    expect(b.history.some((s) => s.kind === 'leading')).toBe(false)
    expect(a.lease.state).toEqual({ kind: 'leading', redisEpoch: 1 })
  })

  test('is retaken under the same epoch when Redis loses everything', async () => {
    const { server, admin } = await redisServer()
    const a = candidate(server.url, 'a', { floor: 9 })
    await a.leads()
    await admin.flushall()
    await eventually(() => admin.get(keys.leader), { limitMs: 5000, what: 'the key is back' })
    expect(await admin.get(keys.epoch)).toBe('9')
    expect(a.lease.state).toEqual({ kind: 'leading', redisEpoch: 9 })
    expect(a.history).toHaveLength(1)
    await eventually(() => a.lease.flaps === 1, { limitMs: 5000, what: 'the flap is counted' })
  })

  test('lets the incumbent go on while Redis is away, and nobody else start', async () => {
    const { server, admin } = await redisServer()
    const a = candidate(server.url, 'a')
    await a.leads()
    const b = candidate(server.url, 'b')
    await standsBy(b, 'a')
    await server.kill()
    await eventually(() => a.lease.flaps > 0, { limitMs: TTL_MS * 5, what: 'the lease is overdue' })
    expect(a.lease.state.kind).toBe('leading')
    expect(b.lease.state.kind).toBe('standby')
    await server.restart()
    await eventually(() => admin.get(keys.leader), { limitMs: 5000, what: 'somebody holds the lease again' })
    // Redis came back empty: whoever asked first has it. The incumbent stays, or learns that it
    // lost.
    await eventually(() => [a, b].filter((c) => c.lease.state.kind === 'leading').length === 1, {
      limitMs: 5000,
      what: 'one leader',
    })
  })

  test('survives a Redis that hangs for less than the time to live without a flap', async () => {
    const { server } = await redisServer()
    const ttlMs = 4000
    const a = candidate(server.url, 'a', { ttlMs })
    await a.leads()
    process.kill(server.pid, 'SIGSTOP')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
    process.kill(server.pid, 'SIGCONT')
    const b = candidate(server.url, 'b', { ttlMs })
    await standsBy(b, 'a')
    expect(a.lease.flaps).toBe(0)
  })

  test('ends when another token holds it', async () => {
    const { server, admin } = await redisServer()
    const a = candidate(server.url, 'a')
    await a.leads()
    await admin.set(keys.leader, `intruder:${'1'.repeat(32)}:7`, 'PX', 60_000)
    await eventually(() => a.lease.state.kind === 'lost', { limitMs: 5000, what: 'a has lost' })
    expect(a.history.at(-1)).toEqual({ kind: 'lost', why: 'intruder holds the lease' })
    await a.lease.close()
    expect(await admin.get(keys.leader)).toContain('intruder')
  })

  test('ends when a greater epoch was counted while it was away', async () => {
    const { server, admin } = await redisServer()
    const a = candidate(server.url, 'a')
    await a.leads()
    await admin.multi().set(keys.epoch, 8).del(keys.leader).exec()
    await eventually(() => a.lease.state.kind === 'lost', { limitMs: 5000, what: 'a has lost' })
    expect(await admin.get(keys.epoch)).toBe('8')
  })

  test('waits for a Redis that is not there yet', async () => {
    const { server } = await redisServer()
    await server.kill()
    const a = candidate(server.url, 'a')
    expect(a.lease.state.kind).toBe('standby')
    await server.restart()
    expect(await a.leads()).toBe(1)
  })

  test('is closed within the time to live when Redis is away', async () => {
    const { server } = await redisServer()
    const a = candidate(server.url, 'a')
    await a.leads()
    await server.kill()
    const started = performance.now()
    await a.lease.close()
    expect(performance.now() - started).toBeLessThan(TTL_MS + 500)
  })

  test('uses the password from its file, and a new one after it was rotated', async () => {
    const { server, admin } = await redisServer({ password: 'first' })
    await using directory = await tempDir('redis-credentials')
    await writeFile(join(directory.path, 'password'), 'wrong\n')
    const a = candidate(server.url, 'a', { credentialsDir: directory.path })
    await admin.config('SET', 'requirepass', 'second')
    await writeFile(join(directory.path, 'password'), 'second\n')
    expect(await a.leads()).toBe(1)
  })

  test('works over TLS with a private CA', async () => {
    await using directory = await tempDir('redis-tls')
    const files = await certificate(directory.path)
    const tlsPort = await freePort()
    const args = [
      '--tls-port',
      String(tlsPort),
      '--tls-cert-file',
      files.cert,
      '--tls-key-file',
      files.key,
      '--tls-ca-cert-file',
      files.cert,
      '--tls-auth-clients',
      'no',
    ]
    await redisServer({ args })
    expect(await candidate(`rediss://localhost:${tlsPort}`, 'a', { caFile: files.cert }).leads()).toBe(1)
  })
})

async function certificate(directory: string): Promise<{ cert: string; key: string }> {
  await mkdir(directory, { recursive: true })
  const [cert, key] = [join(directory, 'ca.crt'), join(directory, 'ca.key')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  await promisify(execFile)('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-keyout',
    key,
    '-out',
    cert,
    ...subject,
  ])
  return { cert, key }
}
