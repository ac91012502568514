import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Barrier } from '#runtime/contract/rpc'
import { MemoryObjects, MemoryStore } from '#runtime/storage/memory-store'
import type { FromSlot } from '#runtime/task/slot-messages'
import { StateUploader } from '#runtime/task-manager/state-uploader'
import { WatchedClock } from '#test/kit/watched-clock'

const ALL: readonly [number, number] = [0, 128]
/** The largest file that travels in the acknowledgement, and one more byte. */
const SMALL = 20 * 1024
const LARGE = SMALL + 1

function uploading(attempt = '1.1', objects = new MemoryObjects()) {
  const store = new MemoryStore({ objects, url: 'memory://job' })
  const { signal } = new AbortController()
  const uploader = new StateUploader({ store, attempt, clock: new WatchedClock(), random: () => 0.5, signal })
  return { uploader, store, objects }
}

interface Given {
  readonly mode?: 'full' | 'delta'
  readonly bytes?: Uint8Array | undefined
  readonly barrier?: Partial<Barrier>
  readonly subtask?: number
}

const snapshot = (id: number, given: Given = {}): Extract<FromSlot, { type: 'snapshot' }> => ({
  type: 'snapshot',
  subtask: { vertex: 'count', subtask: given.subtask ?? 0 },
  barrier: {
    epoch: 1,
    id,
    base: 0,
    kind: 'checkpoint',
    directory: `chk/${id}-1`,
    stop: false,
    drain: false,
    ...given.barrier,
  },
  mode: given.mode ?? 'full',
  uids: ['count'],
  bytes: 'bytes' in given ? given.bytes : randomBytes(LARGE),
  alignmentMs: 0,
  syncMs: 0,
  asyncMs: 0,
})

describe('StateUploader', () => {
  test('sends small files in the acknowledgement and stores larger ones', async () => {
    const { uploader, objects } = uploading()
    const bytes = randomBytes(SMALL)
    const small = await uploader.upload(snapshot(1, { bytes }), ALL)
    expect(small.state.chain).toMatchObject([{ inline: bytes.toString('base64'), sizeBytes: SMALL }])
    expect(objects.list('')).toEqual([])
    const large = await uploader.upload(snapshot(2), ALL)
    expect(large.state.chain).toMatchObject([{ key: 'chk/2-1/count-0-1.1.state', sizeBytes: LARGE }])
    expect(objects.list('').map((o) => o.key)).toEqual(['chk/2-1/count-0-1.1.state'])
  })

  test('acknowledges a subtask without state with an empty chain', async () => {
    const { uploader } = uploading()
    const ack = await uploader.upload(snapshot(1, { bytes: undefined }), [3, 7])
    expect(ack).toMatchObject({
      sizeBytes: 0,
      deltaBytes: 0,
      state: { subtask: 0, keyGroups: [3, 7], chain: [] },
    })
  })

  test('puts changes behind the files of the checkpoint that the barrier names, of this subtask', async () => {
    const { uploader } = uploading()
    await uploader.upload(snapshot(1), ALL)
    await uploader.upload(snapshot(1, { subtask: 1 }), ALL)
    // Checkpoint 2 was given up: the next one extends 1, not 2.
    await uploader.upload(snapshot(2, { mode: 'delta', barrier: { base: 1 } }), ALL)
    const third = await uploader.upload(snapshot(3, { mode: 'delta', barrier: { base: 1 } }), ALL)
    expect(third.state.chain.map((f) => f.key)).toEqual([
      'chk/1-1/count-0-1.1.state',
      'chk/3-1/count-0-1.1.state',
    ])
    expect(third).toMatchObject({ sizeBytes: 2 * LARGE, deltaBytes: LARGE })
  })

  test('repeats the files of the base for a subtask that has not changed', async () => {
    const { uploader } = uploading()
    const first = await uploader.upload(snapshot(1), ALL)
    const unchanged = snapshot(2, { mode: 'delta', bytes: undefined, barrier: { base: 1 } })
    const second = await uploader.upload(unchanged, ALL)
    expect(second.state.chain).toEqual(first.state.chain)
    expect(second.deltaBytes).toBe(0)
  })

  test('refuses changes against a checkpoint whose files it does not know', async () => {
    const { uploader } = uploading()
    const changes = snapshot(2, { mode: 'delta', barrier: { base: 1 } })
    await expect(uploader.upload(changes, ALL)).rejects.toMatchObject({ code: 'BUG' })
  })

  test('forgets chains that no barrier can name any more', async () => {
    const { uploader } = uploading()
    await uploader.upload(snapshot(1), ALL)
    await uploader.upload(snapshot(2, { mode: 'delta', barrier: { base: 1 } }), ALL)
    await uploader.upload(snapshot(3, { mode: 'delta', barrier: { base: 2 } }), ALL)
    const old = snapshot(4, { mode: 'delta', barrier: { base: 1 } })
    await expect(uploader.upload(old, ALL)).rejects.toMatchObject({ code: 'BUG' })
  })

  test('takes a key that holds the same bytes for its own, and never overwrites others', async () => {
    const { uploader, objects } = uploading()
    const bytes = randomBytes(LARGE)
    await uploader.upload(snapshot(1, { bytes }), ALL)
    const again = uploading('1.1', objects).uploader
    await expect(again.upload(snapshot(1, { bytes }), ALL)).resolves.toMatchObject({ sizeBytes: LARGE })
    await expect(again.upload(snapshot(1), ALL)).rejects.toMatchObject({ code: 'STO_EXISTS' })
  })
})

describe('the files of a savepoint', () => {
  const at = { kind: 'savepoint', directory: 'savepoints/before-upgrade' } as const

  test('are named relative to its directory, and are no base for anything', async () => {
    const { uploader, objects } = uploading()
    const ack = await uploader.upload(snapshot(5, { barrier: at }), ALL)
    expect(ack.state.chain).toMatchObject([{ key: 'count-0-1.1-5.state' }])
    expect(objects.list('').map((o) => o.key)).toEqual(['savepoints/before-upgrade/count-0-1.1-5.state'])
    const changes = snapshot(6, { mode: 'delta', barrier: { base: 5 } })
    await expect(uploader.upload(changes, ALL)).rejects.toMatchObject({ code: 'BUG' })
  })

  test('do not stand in the way of the next try at the same place', async () => {
    const { uploader, objects } = uploading()
    await uploader.upload(snapshot(5, { barrier: at }), ALL)
    await uploader.upload(snapshot(6, { barrier: at }), ALL)
    const next = uploading('1.2', objects).uploader
    await next.upload(snapshot(7, { barrier: at }), ALL)
    expect(objects.list('savepoints/before-upgrade/')).toHaveLength(3)
  })
})
