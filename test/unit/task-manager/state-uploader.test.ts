import { describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import type { Barrier } from '#runtime/contract/rpc'
import { MemoryStore } from '#runtime/storage/memory-store'
import { INLINE_BYTES, StateUploader } from '#runtime/task-manager/state-uploader'
import type { FromSlot } from '#runtime/task/slot-messages'

type Snapshot = Extract<FromSlot, { type: 'snapshot' }>
const SUBTASK = { vertex: 'count', subtask: 3 }
const bytes = (text: string): Uint8Array => Buffer.from(text)
const large = (fill: number): Uint8Array => Buffer.alloc(INLINE_BYTES + 1, fill)

function setup() {
  const store = new MemoryStore()
  const { signal } = new AbortController()
  const uploader = new StateUploader({
    store,
    attempt: '1.2',
    clock: systemClock,
    random: Math.random,
    signal,
  })
  const upload = (id: number, base: number, change: Partial<Snapshot> & { readonly barrier?: Barrier }) => {
    const directory = `chk/${id}-1`
    return uploader.upload(
      {
        type: 'snapshot',
        subtask: SUBTASK,
        barrier: { epoch: 1, id, base, kind: 'checkpoint', directory, stop: false, drain: false },
        mode: base === 0 ? 'full' : 'delta',
        uids: ['count'],
        states: [],
        keyed: undefined,
        lists: undefined,
        alignmentMs: 0,
        syncMs: 0,
        asyncMs: 0,
        ...change,
      },
      [0, 64],
    )
  }
  return { store, upload, keys: () => store.objects.list('').map((o) => o.key) }
}

const writers = (files: readonly { readonly writtenBy: number }[]) => files.map((f) => f.writtenBy)

describe('StateUploader', () => {
  test("small files travel in the acknowledgement, larger ones go to the barrier's directory", async () => {
    const { upload, keys } = setup()
    const ack = await upload(1, 0, { keyed: large(1), lists: bytes('offsets') })
    expect(ack).toMatchObject({
      ...SUBTASK,
      attempt: '1.2',
      checkpointId: 1,
      sizeBytes: INLINE_BYTES + 8,
      deltaBytes: INLINE_BYTES + 8,
      state: {
        subtask: 3,
        keyGroups: [0, 64],
        chain: [{ key: 'chk/1-1/count-3-1.2.state', mode: 'full', writtenBy: 1 }],
        lists: { inline: Buffer.from('offsets').toString('base64'), mode: 'full', writtenBy: 1 },
      },
    })
    expect(keys()).toEqual(['chk/1-1/count-3-1.2.state'])
  })

  test('a delta extends the chain of its base; list states replace those of it', async () => {
    const { upload } = setup()
    await upload(1, 0, { keyed: bytes('all'), lists: bytes('a') })
    const { state, deltaBytes } = await upload(2, 1, { keyed: bytes('more'), lists: bytes('b') })
    expect(writers(state.chain)).toEqual([1, 2])
    expect(state.lists).toMatchObject({ writtenBy: 2 })
    expect(deltaBytes).toBe(5)
  })

  test('what is as in the base is not written again', async () => {
    const { upload, keys } = setup()
    const first = await upload(1, 0, { keyed: large(1), lists: large(2) })
    const before = keys()
    const second = await upload(2, 1, { lists: large(2) })
    expect(second.state).toEqual(first.state)
    expect([second.sizeBytes, second.deltaBytes]).toEqual([first.sizeBytes, 0])
    expect(keys()).toEqual(before)
    const third = await upload(3, 2, { lists: large(3) })
    expect(third.state.lists).toMatchObject({ writtenBy: 3, key: 'chk/3-1/count-3-1.2.lists' })
    expect(third.state.chain).toEqual(first.state.chain)
  })

  test('reuses from the base that the barrier names, not from what was tried since', async () => {
    const { upload } = setup()
    await upload(1, 0, { keyed: bytes('all'), lists: bytes('a') })
    await upload(2, 1, { keyed: bytes('failed'), lists: bytes('b') })
    const { state } = await upload(3, 1, { keyed: bytes('more'), lists: bytes('b') })
    expect(writers(state.chain)).toEqual([1, 3])
    expect(state.lists).toMatchObject({ writtenBy: 3 })
  })

  test('forgets chains that no barrier can name any more', async () => {
    const { upload } = setup()
    await upload(1, 0, { keyed: bytes('all') })
    await upload(2, 1, { keyed: bytes('more') })
    await upload(3, 2, { keyed: bytes('more') })
    await expect(upload(4, 1, { keyed: bytes('late') })).rejects.toMatchObject({ code: 'BUG' })
  })

  test('a full snapshot begins a chain of its own; without a base everything is written', async () => {
    const { upload } = setup()
    await upload(1, 0, { keyed: bytes('all'), lists: bytes('a') })
    const { state } = await upload(2, 1, { keyed: bytes('all again'), mode: 'full', lists: bytes('a') })
    expect([writers(state.chain), state.lists?.writtenBy]).toEqual([[2], 1])
    const { state: fresh } = await upload(3, 0, { keyed: bytes('all again'), lists: bytes('a') })
    expect([writers(fresh.chain), fresh.lists?.writtenBy]).toEqual([[3], 3])
  })

  test('names in a savepoint are relative and carry its id; it is a base for nothing', async () => {
    const { upload, keys } = setup()
    const place = { kind: 'savepoint', directory: 'savepoints/mine', stop: false, drain: false } as const
    const barrier: Barrier = { epoch: 1, id: 4, base: 0, ...place }
    const { state } = await upload(4, 0, { barrier, keyed: large(1), lists: large(2) })
    expect([state.chain[0]?.key, state.lists?.key]).toEqual(['count-3-1.2-4.state', 'count-3-1.2-4.lists'])
    expect(keys()).toEqual(['savepoints/mine/count-3-1.2-4.lists', 'savepoints/mine/count-3-1.2-4.state'])
    await expect(upload(5, 4, { keyed: bytes('more') })).rejects.toMatchObject({ code: 'BUG' })
  })

  test('a savepoint can be tried again at the same place, whatever an earlier try left there', async () => {
    const { upload, keys } = setup()
    const place = { kind: 'savepoint', directory: 'savepoints/mine', stop: false, drain: false } as const
    await upload(4, 0, { barrier: { epoch: 1, id: 4, base: 0, ...place }, keyed: large(1) })
    await upload(5, 0, { barrier: { epoch: 1, id: 5, base: 0, ...place }, keyed: large(2) })
    expect(keys()).toEqual(['savepoints/mine/count-3-1.2-4.state', 'savepoints/mine/count-3-1.2-5.state'])
  })

  test('a key taken by other bytes fails the checkpoint', async () => {
    const { store, upload } = setup()
    await store.create('chk/1-1/count-3-1.2.state', bytes('foreign'))
    await expect(upload(1, 0, { keyed: large(1) })).rejects.toMatchObject({ code: 'STO_EXISTS' })
  })
})
