import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import type { RestorePoint } from '#runtime/contract/checkpoint-records'
import { loadRestore, type LoadOptions } from '#runtime/restore/restore-loader'
import { openForeign, openRestorePoint } from '#runtime/restore/restore-point'
import { storePoint, type StoredVertex } from '#test/kit/checkpoints'
import { planOf } from '#test/kit/job-world'
import { MemoryDisk } from '#test/kit/memory-stores'
import { StoreFaults } from '#test/kit/store-faults'
import { WatchedClock } from '#test/kit/watched-clock'

const OLD: StoredVertex = {
  vertex: 'old',
  uids: ['v'],
  subtasks: [
    { keyGroups: [0, 64], files: [Buffer.from('a0'), Buffer.from('a1')] },
    { keyGroups: [64, 128], files: [Buffer.from('b0'), Buffer.from('b1'), Buffer.from('b2')] },
  ],
}
const OTHER: StoredVertex = {
  vertex: 'other',
  uids: ['w'],
  subtasks: [{ keyGroups: [0, 128], files: [Buffer.from('other')] }],
}

const files = (operation: string, key: string): boolean => operation === 'get' && key.endsWith('.state')

/** A checkpoint of two old subtasks, restored into `parallelism` new ones. */
async function restoring(parallelism: number, vertices: readonly StoredVertex[] = [OLD, OTHER]) {
  const disk = new MemoryDisk()
  const faults = new StoreFaults()
  const { own } = await storePoint(disk.stores().own, { type: 'checkpoint', id: 3, vertices })
  const clock = new WatchedClock()
  const abort = new AbortController()
  const read: number[] = []
  const gets: string[] = []
  faults.watch(files, (_, key) => gets.push(key))
  const options: LoadOptions = {
    clock,
    random: () => 0.5,
    signal: abort.signal,
    limitMs: 60_000,
    onRead: (sizeBytes) => read.push(sizeBytes),
  }
  const load = async (point: RestorePoint = own) => {
    const plan = planOf(parallelism)
    const places = Array.from({ length: parallelism }, (_, subtask) => ({
      vertex: 'v',
      subtask,
      taskManager: 'tm',
      slot: 0,
    }))
    const deployment = {
      attempt: '2.1',
      planHash: plan.hash,
      plan,
      parallelism,
      module: { name: '', source: '', sha256: '', args: {} },
      places,
      dataAddresses: {},
      restore: point,
      sinks: { committedUpTo: 0, savepoints: [] },
    }
    return loadRestore(await openRestorePoint(point, disk.stores(faults)), deployment, places, options)
  }
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
  const chains = async () =>
    Object.fromEntries(
      Object.entries(await load()).map(([key, input]) => [
        key,
        input.chains.map((c) => `${c.oldSubtask}: ${c.keyed.map(text).join()}`),
      ]),
    )
  return { disk, faults, clock, abort, read, gets, load, chains, own }
}

describe('loadRestore()', () => {
  test('gives each subtask the chains that overlap its key groups', async () => {
    const { chains } = await restoring(2)
    expect(await chains()).toEqual({
      'v/0': ['0: a0,a1', '1: '],
      'v/1': ['0: ', '1: b0,b1,b2'],
    })
  })

  test('gives everything to one subtask that takes over from two', async () => {
    const { chains } = await restoring(1)
    expect(await chains()).toEqual({ 'v/0': ['0: a0,a1', '1: b0,b1,b2'] })
  })

  test('shares a chain between the subtasks that split it', async () => {
    const { chains } = await restoring(4)
    expect(await chains()).toMatchObject({
      'v/0': ['0: a0,a1', '1: '],
      'v/1': ['0: a0,a1', '1: '],
    })
  })

  test('reads every file once, whoever needs it, and tells of each', async () => {
    const { load, gets, read } = await restoring(4)
    const inputs = await load()
    expect(gets).toHaveLength(5)
    expect(new Set(gets).size).toBe(5)
    expect(read).toEqual([2, 2, 2, 2, 2])
    const [first, second] = [inputs['v/0']?.chains[0]?.keyed[0], inputs['v/1']?.chains[0]?.keyed[0]]
    expect(first).toBe(second)
    expect(first?.buffer).toBeInstanceOf(SharedArrayBuffer)
  })

  test('reads nothing of operators that are not restored', async () => {
    const { load, gets } = await restoring(1)
    await load()
    expect(gets.filter((key) => key.includes('other'))).toEqual([])
  })

  test('takes inlined files from the manifest', async () => {
    const { disk, load, gets } = await restoring(1)
    const { own } = await storePoint(disk.stores().own, {
      type: 'checkpoint',
      id: 4,
      isInlined: true,
      vertices: [OLD],
    })
    const inputs = await load(own)
    expect(gets).toEqual([])
    expect(inputs['v/0']?.checkpointId).toBe(4)
    expect(inputs['v/0']?.chains[1]?.keyed).toHaveLength(3)
  })

  test('reads at most eight files at a time', async () => {
    const many: StoredVertex = {
      vertex: 'old',
      uids: ['v'],
      subtasks: [{ keyGroups: [0, 128], files: Array.from({ length: 40 }, (_, i) => Buffer.from(`f${i}`)) }],
    }
    const { faults, load, clock } = await restoring(1, [many])
    let [active, most] = [0, 0]
    faults.before = async (operation) => {
      if (operation !== 'get') return
      most = Math.max(most, ++active)
      await new Promise((resolve) => setImmediate(resolve))
      active--
    }
    await load()
    expect(most).toBe(8)
    expect(clock.pending).toEqual([])
  })

  test('retries what is not answered, and stops at once when it is cancelled', async () => {
    const { faults, clock, abort, load } = await restoring(1)
    const mended = faults.refuse(files)
    const loading = load()
    await clock.runFor(5000)
    mended()
    await clock.runFor(5000)
    await expect(loading).resolves.toBeDefined()
    faults.refuse(files)
    const again = load()
    await clock.runFor(1000)
    abort.abort(new WeirError('FENCED', 'cancelled'))
    await expect(again).rejects.toThrow('cancelled')
    await clock.runFor(0)
    expect(clock.pending).toEqual([])
  })

  test('gives up what is not answered for a minute', async () => {
    const { faults, clock, load } = await restoring(1)
    faults.refuse(files)
    const failure = load().catch((error: unknown) => error)
    await clock.runFor(70_000)
    expect(await failure).toMatchObject({ code: 'STO_UNAVAILABLE' })
  })

  test.each([
    [
      'is damaged',
      (disk: MemoryDisk, key: string) => disk.own.overwrite(key, Buffer.from('xx')),
      'STO_CORRUPT',
    ],
    ['is cut', (disk: MemoryDisk, key: string) => disk.own.overwrite(key, Buffer.from('a')), 'STO_CORRUPT'],
    ['is gone', (disk: MemoryDisk, key: string) => disk.own.delete(key), 'STO_MISSING'],
  ] as const)('says which file %s', async (_, harm, code) => {
    const { disk, load } = await restoring(1)
    const key = 'chk/3-1/old-0-1.1-1.state'
    harm(disk, key)
    await expect(load()).rejects.toMatchObject({ code, message: expect.stringContaining(key) })
  })

  test('of nothing gives nothing', async () => {
    const { load } = await restoring(1)
    expect(await load({ kind: 'empty' })).toEqual({})
  })
})

describe('a savepoint', () => {
  test('is read wherever its directory was moved', async () => {
    const { disk, load } = await restoring(1)
    const elsewhere = disk.stores().at('file:///backup/1')
    await storePoint(elsewhere, { type: 'savepoint', id: 9, directory: '', vertices: [OLD] })
    const point = { kind: 'savepoint', path: 'file:///backup/1', lineage: 'fork', committedUpTo: 0 } as const
    expect((await load(point))['v/0']?.checkpointId).toBe(9)
  })

  test('that the run ended with is read from the job’s own copy, whatever became of the user’s', async () => {
    const { disk, load } = await restoring(1)
    const { key, sha256 } = await storePoint(disk.stores().own, {
      type: 'savepoint',
      id: 9,
      directory: 'chk/9-1',
      vertices: [OLD],
    })
    const of = { kind: 'savepoint', lineage: 'succession', committedUpTo: 0, sha256 } as const
    const inputs = await load({ ...of, path: 'file:///deleted', manifest: key })
    expect(inputs['v/0']?.chains[0]?.keyed).toHaveLength(2)
  })

  test('closes its store when it cannot be opened', async () => {
    const disk = new MemoryDisk()
    let open = 0
    const { own, at } = disk.stores()
    const counted = (url: string) => {
      const store = at(url)
      const close = store.close.bind(store)
      open++
      store.close = () => (open--, close())
      return store
    }
    await expect(openForeign('file:///nowhere', { own, at: counted })).rejects.toMatchObject({
      code: 'CKP_RESTORE',
    })
    expect(open).toBe(0)
  })
})
