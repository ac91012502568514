import { describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import { messageOf, WeirError } from '#runtime/base/errors'
import { silentLogger } from '#runtime/base/logger'
import { Controller, DONE, requeueAfter, type Outcome } from '#operator/controller/controller'
import { KubeApiError } from '#operator/kube/errors'
import type { Key } from '#operator/kube/store'
import { WorkQueue } from '#operator/controller/workqueue'
import { TestClock } from '#runtime/testing/test-clock'

const queue = (clock = new TestClock()) => ({
  clock,
  queue: new WorkQueue({
    clock,
    random: () => 0.5,
    backoff: { initialMs: 10, maxMs: 1000, multiplier: 2, jitter: 0.2 },
  }),
})

describe('WorkQueue', () => {
  test('I1: a key added many times is taken once', async () => {
    const { queue: q } = queue()
    q.add('a')
    q.add('a')
    q.add('b')
    expect([await q.take(), await q.take(), q.depth]).toEqual(['a', 'b', 0])
  })

  test('I2: a key that is worked on comes back after done, once', async () => {
    const { queue: q } = queue()
    q.add('a')
    await q.take()
    q.add('a')
    q.add('a')
    expect(q.depth).toBe(0)
    q.done('a')
    expect(q.depth).toBe(1)
  })

  test('hands a key to a waiting worker', async () => {
    const { queue: q } = queue()
    const taken = q.take()
    q.add('a')
    expect(await taken).toBe('a')
  })

  test('I3: the earliest of several delays counts', async () => {
    const { queue: q, clock } = queue()
    q.addAfter('a', 100)
    q.addAfter('a', 10)
    q.addAfter('a', 50)
    clock.advance(10)
    expect(q.depth).toBe(1)
  })

  test('I3: an immediate add makes delayed ones void', async () => {
    const { queue: q, clock } = queue()
    q.addAfter('a', 100)
    q.add('a')
    q.done((await q.take())!)
    clock.advance(1000)
    expect(q.depth).toBe(0)
  })

  test('I4: delays grow per key, up to the limit, and start over after forget', () => {
    const { queue: q } = queue()
    expect([q.retry('a'), q.retry('a'), q.retry('a'), q.retry('b')]).toEqual([10, 20, 40, 10])
    for (let i = 0; i < 20; i++) q.retry('a')
    expect(q.retry('a')).toBe(1000)
    q.forget('a')
    expect(q.retry('a')).toBe(10)
    expect(q.retry('b', 5000)).toBe(5000)
  })

  test('I5: what is new is taken before what is looked at only to be sure', async () => {
    const { queue: q } = queue()
    q.add('r1', 'routine')
    q.add('r2', 'routine')
    q.add('r3', 'routine')
    q.add('u1')
    q.add('r2')
    q.add('r2', 'routine')
    const taken = [await q.take(), await q.take(), await q.take(), await q.take()]
    expect(taken).toEqual(['u1', 'r2', 'r1', 'r3'])
    expect(q.depth).toBe(0)
  })

  test('I5: a key that became urgent while it was worked on comes back as urgent', async () => {
    const { queue: q } = queue()
    q.add('a')
    await q.take()
    q.add('b', 'routine')
    q.add('a', 'routine')
    q.add('a')
    q.done('a')
    expect([await q.take(), await q.take()]).toEqual(['a', 'b'])
  })

  test('close() releases waiting workers', async () => {
    const { queue: q } = queue()
    const taken = q.take()
    q.close()
    expect([await taken, await q.take()]).toEqual([undefined, undefined])
  })
})

describe('Controller', () => {
  /** What the object was to say. */
  let told: string[] = []
  async function run(
    reconcile: (call: number) => Promise<Outcome> | Outcome,
    calls: number,
  ): Promise<string[]> {
    const q = new WorkQueue<Key>({
      clock: systemClock,
      random: () => 0.5,
      backoff: { initialMs: 1, maxMs: 5, multiplier: 2, jitter: 0 },
    })
    const stop = new AbortController()
    const results: string[] = []
    told = []
    let call = 0
    const controller = new Controller({
      name: 'test',
      queue: q,
      workers: 2,
      clock: systemClock,
      logger: silentLogger,
      reconcile: async () => reconcile(++call),
      onFailing: async ({ error }) => void told.push(messageOf(error)),
      onResult: (_name, result) => {
        results.push(result)
        if (results.length === calls) stop.abort()
      },
    })
    q.add('a/b')
    await controller.run(stop.signal)
    return results
  }

  test('comes back after requeue and after a failure', async () => {
    const outcomes = [
      () => requeueAfter(1),
      () => {
        throw new Error('x')
      },
      () => DONE,
    ]
    expect(await run((call) => outcomes[call - 1]!(), 3)).toEqual(['requeue', 'error', 'done'])
  })

  test('does not repeat what cannot succeed', async () => {
    const q = await run(() => {
      throw new WeirError('CFG_INVALID', 'no')
    }, 1)
    expect(q).toEqual(['terminal'])
    expect(told).toEqual(['no'])
  })

  test('tells of the third error in a row and of those that follow, not of a conflict', async () => {
    const conflict = new KubeApiError('changed', { status: 409, reason: 'Conflict' })
    const outcomes = [new Error('1'), conflict, new Error('2'), new Error('3'), new Error('4')]
    const results = await run((call) => {
      throw outcomes[call - 1]
    }, 5)
    expect(results).toEqual(['error', 'conflict', 'error', 'error', 'error'])
    expect(told).toEqual(['3', '4'])
  })

  test('a success starts the count of errors over', async () => {
    const isBad = [true, true, false, true, true]
    await run((call) => {
      if (isBad[call - 1] === true) throw new Error('x')
      return requeueAfter(1)
    }, 5)
    expect(told).toEqual([])
  })
})
