import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import type { StoredObject } from '#runtime/storage/checkpoint-store'
import { createExact } from '#runtime/storage/create-exact'
import { MemoryStore } from '#runtime/storage/memory-store'
import { probeStore } from '#runtime/storage/probe'
import { hastyClock } from '#test/kit/commit-log'

/** A server that ignores If-None-Match. */
class OverwritingStore extends MemoryStore {
  override create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    this.objects.overwrite(key, bytes)
    return Promise.resolve('created')
  }
}
/** A server that checks before it writes, but not at once. */
class RacyStore extends MemoryStore {
  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    if (this.objects.get(key) !== undefined) return 'exists'
    await new Promise((resolve) => setImmediate(resolve))
    this.objects.overwrite(key, bytes)
    return 'created'
  }
}
class StaleListStore extends MemoryStore {
  override list(): Promise<StoredObject[]> {
    return Promise.resolve([])
  }
}

describe('probeStore', () => {
  test('accepts a store that keeps the guarantees, and cleans up', async () => {
    const store = new MemoryStore()
    await probeStore(store)
    expect(await store.list('')).toEqual([])
  })
  test.each([
    ['overwrites', new OverwritingStore(), /created, then created/],
    ['lets several racers win', new RacyStore(), /20 of 20 concurrent creates/],
    ['lists late', new StaleListStore(), /missing from the listing/],
  ])('refuses a store that %s', async (_, store, why) => {
    await expect(probeStore(store)).rejects.toMatchObject({ code: 'STO_UNSAFE' })
    await expect(probeStore(store)).rejects.toThrow(why)
    expect(store.objects.list('')).toEqual([])
  })
  test('a racer that is told to come again is no proof against the store', async () => {
    let conflicts = 3
    const store = new MemoryStore({
      hooks: {
        before(operation, key) {
          if (operation === 'create' && key.endsWith('-race') && conflicts-- > 0)
            throw new WeirError('STO_UNAVAILABLE', 'conflict, try again')
        },
      },
    })
    await expect(probeStore(store)).resolves.toBeUndefined()
    expect(conflicts).toBeLessThanOrEqual(0)
  })
})

describe('createExact', () => {
  const options = { clock: hastyClock(), random: () => 0.5, limitMs: 5000 }
  const flaky = (when: 'before' | 'after', times: number): MemoryStore => {
    let left = times
    const fail = (operation: string): void => {
      if (operation === 'create' && left-- > 0) throw new WeirError('STO_UNAVAILABLE', 'no answer')
    }
    return new MemoryStore({ hooks: { [when]: fail } })
  }
  test.each(['before', 'after'] as const)(
    'succeeds although requests fail %s they take effect',
    async (when) => {
      const store = flaky(when, 2)
      await createExact(store, 'a', Buffer.from('bytes'), options)
      expect(Buffer.from(await store.get('a')).toString()).toBe('bytes')
    },
  )
  test('refuses a key that holds other bytes', async () => {
    const store = new MemoryStore()
    await store.create('a', Buffer.from('other'))
    await expect(createExact(store, 'a', Buffer.from('bytes'), options)).rejects.toMatchObject({
      code: 'STO_EXISTS',
    })
  })
  test('gives up after its limit', async () => {
    await expect(
      createExact(flaky('before', Infinity), 'a', Buffer.from('x'), options),
    ).rejects.toMatchObject({ code: 'STO_UNAVAILABLE' })
  })
})
