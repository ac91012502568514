import { describe, expect, test } from 'vitest'
import { LeaseLoop } from '#runtime/election/lease-loop'
import { MemoryLease, type MemoryLeaseHooks, MemoryLeaseStore } from '#test/kit/memory-lease'
import { SingleCandidate } from '#runtime/election/single'
import { leaseKeys } from '#runtime/election/redis-lease-store'
import { parseRedisUrl } from '#runtime/election/redis-client'
import { TestClock } from '#runtime/testing/test-clock'

const TTL_MS = 1000

function setup() {
  const clock = new TestClock()
  const lease = new MemoryLease(() => clock.now())
  const start = (id: string, hooks: MemoryLeaseHooks = {}): LeaseLoop => {
    const loop = new LeaseLoop({
      store: new MemoryLeaseStore(lease, TTL_MS, hooks),
      clock,
      random: () => 0.5,
      ttlMs: TTL_MS,
      token: id,
    })
    lease.onRelease(() => loop.hint())
    loop.campaign(1, () => undefined)
    return loop
  }
  return { clock, lease, start }
}

describe('LeaseLoop', () => {
  test('holds the lease for as long as it renews', async () => {
    const { clock, lease, start } = setup()
    const a = start('a')
    const b = start('b')
    await clock.runUntil(TTL_MS * 20)
    expect(a.state).toEqual({ kind: 'leading', redisEpoch: 1 })
    expect(b.state).toEqual({ kind: 'standby', leader: 'a' })
    expect(lease.held?.token).toBe('a')
  })

  test('hands over in the same instant when it is closed', async () => {
    const { clock, start } = setup()
    const a = start('a')
    const b = start('b')
    await clock.runUntil(100)
    await a.close()
    await clock.runUntil(101)
    expect(b.state).toEqual({ kind: 'leading', redisEpoch: 2 })
  })

  test('a partitioned leader goes on until it hears of the new one', async () => {
    const { clock, start } = setup()
    let cut = false
    const a = start('a', {
      before() {
        if (cut) throw new Error('partitioned')
      },
    })
    const b = start('b')
    await clock.runUntil(100)
    cut = true
    await clock.runUntil(TTL_MS * 3)
    expect([a.state.kind, b.state.kind]).toEqual(['leading', 'leading'])
    cut = false
    await clock.runUntil(TTL_MS * 4)
    expect(a.state).toEqual({ kind: 'lost', why: 'b holds the lease' })
  })

  test('an acquisition whose answer was lost is found to be the own one', async () => {
    const { clock, start } = setup()
    let losses = 1
    const a = start('a', {
      after() {
        if (losses-- > 0) throw new Error('answer lost')
      },
    })
    await clock.runUntil(TTL_MS)
    expect(a.state).toEqual({ kind: 'leading', redisEpoch: 1 })
  })

  test('closing releases a lease that was won while it closed', async () => {
    const { lease, start } = setup()
    const a = start('a')
    await a.close()
    expect(lease.held).toBeUndefined()
  })
})

test('an only candidate leads at once under the floor', async () => {
  const election = new SingleCandidate()
  const states: unknown[] = []
  election.campaign(3, (s) => states.push(s))
  expect(states).toEqual([])
  await Promise.resolve()
  expect(states).toEqual([{ kind: 'leading', redisEpoch: 3 }])
})

test('keys of one job share a hash slot whatever the prefix holds', () => {
  expect(leaseKeys('weir', 'u1')).toEqual({
    leader: '{weir:u1}:leader',
    epoch: '{weir:u1}:epoch',
    events: '{weir:u1}:events',
  })
  expect(leaseKeys('a}b{', 'u1').leader).toBe('{a_b_:u1}:leader')
})

test('Redis URLs are parsed, and refused with the reason', () => {
  expect(parseRedisUrl('redis://cache/2')).toEqual({ host: 'cache', port: 6379, db: 2, tls: false })
  expect(parseRedisUrl('rediss://[::1]:7000')).toEqual({ host: '::1', port: 7000, db: 0, tls: true })
  expect(() => parseRedisUrl('http://cache')).toThrow(/Expected redis:\/\//)
  expect(() => parseRedisUrl('redis://:hidden@cache')).toThrow(/holds credentials/)
  expect(() => parseRedisUrl('redis://:hidden@cache')).not.toThrow(/hidden/)
})
