import { beforeAll, describe, expect, test } from 'vitest'
import { type Clock, sleep } from '#runtime/base/clock'
import type { Term } from '#runtime/commit-log/term'
import { MemoryObjects, MemoryStore } from '#runtime/storage/memory-store'
import { TestClock } from '#runtime/testing/test-clock'
import { append, checkpointBody, deployBody, leadLog, openLog } from '#test/kit/commit-log'

const INTERVAL_MS = 10_000
const A_DAY = 8640
const REQUEST_MS = 15
/** Up to the head just before a snapshot is due: then a reader has most to fetch. */
const A_MONTH = 30 * A_DAY + 196

/** A job that completes a checkpoint every ten seconds; its time is that of the store. */
class SteadyJob {
  readonly objects = new MemoryObjects(() => this.#now)
  #now = Date.UTC(2030, 0, 1)
  #term: Term | undefined
  #id = 0

  async start(): Promise<void> {
    const now = () => this.#now
    const clock: Clock = { now, monotonic: now, after: () => ({ cancel: () => undefined }), soon: () => {} }
    const { term } = await leadLog(new MemoryStore({ objects: this.objects }), { clock })
    await append(term, deployBody('1.1'))
    this.#term = term
  }

  async run(checkpoints: number): Promise<void> {
    const term = this.#term as Term
    for (let i = 0; i < checkpoints; i++) {
      this.#now += INTERVAL_MS
      const id = ++this.#id
      const retires = id > 3 ? [id - 3] : []
      const record = await append(term, checkpointBody(id, 1, '1.1', { base: id - 1, retires }))
      if (retires.length > 0) term.forgetRetirements(new Set([record.seq]))
      await term.compactIfDue()
    }
  }
}

/** A store whose requests take time, and what was asked of it. */
function slowStore(objects: MemoryObjects) {
  const clock = new TestClock()
  const requests: string[] = []
  const hooks = {
    before: (operation: string) => {
      requests.push(operation)
      return sleep(clock, REQUEST_MS)
    },
  }
  const timed = async <T>(work: () => Promise<T>) => {
    requests.length = 0
    const start = clock.monotonic()
    let result: { readonly value: T } | undefined
    void work().then((value) => (result = { value }))
    await clock.runUntil(Infinity, () => result !== undefined)
    return {
      value: (result as { readonly value: T }).value,
      requests: requests.length,
      ms: clock.monotonic() - start,
    }
  }
  return { store: new MemoryStore({ objects, hooks }), clock, timed }
}

describe('after a month of checkpoints every 10 s', () => {
  const job = new SteadyJob()
  beforeAll(async () => {
    await job.start()
    await job.run(A_MONTH)
  }, 120_000)

  test('the log holds what came since the snapshot before the grace, and little more', () => {
    const sizes = job.objects.list('log/').map((o) => o.sizeBytes)
    expect(sizes.length).toBeLessThan(800)
    expect(Math.max(...sizes)).toBeLessThan(10_000)
  })

  test('a reader opens it in under a second at 15 ms a request', async () => {
    const { store, clock, timed } = slowStore(job.objects)
    const opened = await timed(() => openLog(store, { clock }))
    expect(opened.value.state.highestId).toBe(A_MONTH)
    expect(opened.ms).toBeLessThan(1000)
    expect(opened.requests).toBeGreaterThan(199)
    expect(opened.requests).toBeLessThan(210)
  })

  test('a standby that follows all day is ready with a handful of requests', async () => {
    const { store, clock, timed } = slowStore(job.objects)
    const follower = (await timed(() => openLog(store, { clock }))).value
    for (let look = 0; look < A_DAY / 3; look++) {
      await job.run(3)
      await timed(() => follower.refresh())
    }
    expect(await timed(() => follower.refresh())).toMatchObject({ requests: 1, ms: REQUEST_MS })
    const led = await timed(() => follower.openEpoch({ run: 1, leader: 'follower', floor: 1 }))
    expect(led.value.state.highestId).toBe(A_MONTH + A_DAY)
    expect(led.requests).toBeLessThanOrEqual(4)
    expect(led.ms).toBeLessThan(100)
  })

  test.each([
    ['40 minutes', 240],
    ['a day', A_DAY],
  ])('a standby that slept for %s begins with the newest snapshot', async (_, checkpoints) => {
    const later = new SteadyJob()
    await later.start()
    const { store, clock, timed } = slowStore(later.objects)
    const sleeper = (await timed(() => openLog(store, { clock }))).value
    await later.run(checkpoints)
    const led = await timed(() => sleeper.openEpoch({ run: 1, leader: 'sleeper', floor: 1 }))
    expect(led.value.state.highestId).toBe(checkpoints)
    expect(led.requests).toBeLessThan(210)
    expect(led.ms).toBeLessThan(1000)
  })
})
