import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { silentLogger } from '#runtime/base/logger'
import { sha256Of } from '#runtime/base/sha256'
import { readManifest, writeManifest } from '#runtime/commit-log/manifest-io'
import { RetiredFiles } from '#runtime/commit-log/retired-files'
import type { LogBody, StateFile } from '#runtime/contract/checkpoint-records'
import { type MemoryHooks, MemoryObjects, MemoryStore } from '#runtime/storage/memory-store'
import { manifestKey, stateFileKey } from '#runtime/storage/paths'
import { TestClock } from '#runtime/testing/test-clock'
import { manifestOf } from '#test/kit/checkpoint'
import { append, checkpointBody, deployBody, leadLog, savepointBody } from '#test/kit/commit-log'

const GRACE = 1000
const HOUR = 3_600_000
const fileOf = (id: number): StateFile => ({
  key: stateFileKey(`chk/${id}-1`, { vertex: 'count', subtask: 0, attempt: '1.1', part: 'state' }),
  sizeBytes: 1,
  sha256: sha256Of(Buffer.from(`${id}`)),
  writtenBy: id,
  mode: 'full',
})
const keysOf = (id: number): string[] => [fileOf(id).key as string, `chk/${id}-1/manifest.json`]

interface Setup {
  /** What an earlier leader left. */
  readonly after?: { readonly objects: MemoryObjects; readonly clock: TestClock }
  /** The store's clock. Default: goes with that of the process. */
  readonly storeNow?: () => number
}

async function setup({ after, storeNow }: Setup = {}) {
  const clock = after?.clock ?? new TestClock()
  const objects = after?.objects ?? new MemoryObjects(storeNow ?? (() => clock.now()))
  const requests: string[] = []
  const hooks: MemoryHooks = { before: (operation) => void requests.push(operation) }
  const store = new MemoryStore({ objects, hooks })
  const { term } = await leadLog(store, { clock })
  const retired = new RetiredFiles({ store, log: term, clock, logger: silentLogger, graceMs: GRACE })
  if (after === undefined) await append(term, deployBody('1.1'))
  const attempt = `${term.epoch}.1`
  /** Completes checkpoint `id`: one new file, and those of `reuses`. */
  const complete = async (id: number, { reuses = [] as number[], retires = [] as number[] } = {}) => {
    const chain = [...reuses.map(fileOf), fileOf(id)]
    await store.create(fileOf(id).key as string, Buffer.from(`${id}`))
    const subtasks = [{ subtask: 0, keyGroups: [0, 128] as [number, number], chain }]
    const vertices = [{ vertex: 'count', uids: ['count'], states: [], parallelism: 1, subtasks }]
    const of = { id, epoch: 1, attempt, base: 0, kind: 'checkpoint' } as const
    const { key, sha256 } = await writeManifest(store, manifestOf(of, { vertices }))
    await append(term, checkpointBody(id, term.epoch, attempt, { manifest: key, sha256, retires }))
    await retired.afterCheckpoint()
    return { manifest: key, sha256 }
  }
  /** Completes checkpoint `id` without any change since the one with that manifest. */
  const idle = async (id: number, manifest: { manifest: string; sha256: string }, retires: number[] = []) => {
    await append(term, checkpointBody(id, term.epoch, '1.1', { ...manifest, base: id - 1, retires }))
    await retired.afterCheckpoint()
  }
  const files = () => objects.list('chk/').map((o) => o.key)
  return { clock, objects, hooks, requests, store, term, retired, complete, idle, files }
}

describe('retired files', () => {
  test('stay for the grace, then go unless a retained manifest refers to them', async () => {
    const { clock, term, complete, files } = await setup()
    await complete(1)
    await complete(2)
    await complete(3, { reuses: [1], retires: [1, 2] })
    await clock.runFor(GRACE - 1)
    expect(files()).toHaveLength(6)
    await clock.runFor(1)
    expect(files()).toEqual([fileOf(1).key, ...keysOf(3)])
    expect(term.state.retirements).toEqual([])
    await complete(4, { retires: [3] })
    await clock.runFor(GRACE)
    expect(files()).toEqual(keysOf(4))
  })

  test('go only when the grace of every checkpoint that refers to them has passed', async () => {
    const { clock, complete, files } = await setup()
    await complete(1)
    await complete(2, { reuses: [1] })
    await complete(3, { retires: [1] })
    await clock.runFor(GRACE / 2)
    await complete(4, { retires: [2] })
    await clock.runFor(GRACE / 2)
    await complete(5)
    expect(files()).not.toContain(keysOf(1)[1])
    expect(files()).toContain(fileOf(1).key)
    await clock.runFor(GRACE / 2)
    await complete(6)
    expect(files()).toEqual([3, 4, 5, 6].flatMap(keysOf))
  })

  test('a manifest that several checkpoints share stays until the last of them has gone', async () => {
    const { clock, complete, idle, files, term } = await setup()
    const first = await complete(1)
    await idle(2, first)
    await idle(3, first, [1])
    await idle(4, first, [2])
    await clock.runFor(GRACE)
    expect(files()).toEqual(keysOf(1))
    expect(term.state.retirements).toEqual([])
    await complete(5, { retires: [3, 4] })
    await clock.runFor(GRACE)
    expect(files()).toEqual(keysOf(5))
  })

  test('while nothing changes nothing is asked of the store but the record', async () => {
    const { clock, complete, idle, requests } = await setup()
    const first = await complete(1)
    await idle(2, first)
    for (let id = 3; id < 10; id++) {
      await idle(id, first, [id - 2])
      await clock.runFor(GRACE)
    }
    requests.length = 0
    await idle(10, first, [8])
    await clock.runFor(GRACE)
    expect(requests).toEqual(['create', 'list'])
  })

  test('of what was retired under earlier leaders the age counts, by the clock of the store', async () => {
    let storeNow = 0
    const old = await setup({ storeNow: () => storeNow })
    await old.complete(1)
    await old.complete(2, { retires: [1] })
    old.retired.close()
    storeNow = GRACE - 1
    const next = await setup({ after: old, storeNow: () => storeNow })
    await append(next.term, deployBody('2.1', { restoreFrom: next.term.state.restorePoint }))
    await next.complete(3)
    expect(next.files()).toContain(keysOf(1)[1])
    next.retired.close()
    storeNow = GRACE
    const last = await setup({ after: next, storeNow: () => storeNow })
    await append(last.term, deployBody('3.1', { restoreFrom: last.term.state.restorePoint }))
    await last.complete(4)
    expect(last.files()).not.toContain(keysOf(1)[1])
  })

  test('a new leader finishes what the old one logged', async () => {
    const old = await setup()
    await old.complete(1)
    await old.complete(2, { retires: [1] })
    const { term, retired, clock, files, store } = await setup({ after: old })
    await append(term, deployBody('2.1', { restoreFrom: term.state.restorePoint }))
    const { key, sha256 } = await writeManifest(
      store,
      manifestOf({ id: 3, epoch: 2, attempt: '2.1', base: 0, kind: 'checkpoint' }),
    )
    await append(term, checkpointBody(3, 2, '2.1', { manifest: key, sha256 }))
    await retired.afterCheckpoint()
    await clock.runFor(GRACE)
    expect(files()).toEqual([...keysOf(2), 'chk/3-2/manifest.json'])
    await old.retired.afterCheckpoint()
    await clock.runFor(GRACE)
    expect(files()).toHaveLength(3)
  })

  test('nothing is deleted while a retained manifest cannot be read', async () => {
    const { clock, objects, store, complete, files } = await setup()
    await complete(1)
    const { manifest, sha256 } = await complete(2, { reuses: [1], retires: [1] })
    const bytes = objects.get(manifest) as Uint8Array
    objects.overwrite(manifest, Buffer.from('{}'))
    await clock.runFor(GRACE)
    expect(files()).toHaveLength(4)
    objects.overwrite(manifest, bytes)
    await readManifest(store, manifest, sha256)
    await complete(3, { retires: [2] })
    await clock.runFor(GRACE)
    expect(files()).toEqual(keysOf(3))
  })

  test('a retired checkpoint that is damaged does not hold up the others', async () => {
    const { clock, objects, complete, files } = await setup()
    await complete(1)
    await complete(2)
    objects.overwrite(manifestKey('chk/1-1'), Buffer.from('{}'))
    await complete(3, { retires: [1, 2] })
    await clock.runFor(GRACE)
    expect(files()).toEqual([fileOf(1).key, ...keysOf(3)])
    await clock.runFor(HOUR)
    await complete(4)
    expect(files()).toEqual([...keysOf(3), ...keysOf(4)])
  })

  test('the manifest of a stopping savepoint stays while it is the restore point', async () => {
    const { clock, store, term, retired, complete, objects } = await setup()
    await complete(1)
    const of = { id: 2, epoch: 1, attempt: '1.1', base: 0, kind: 'savepoint' } as const
    const { key, sha256 } = await writeManifest(store, manifestOf(of))
    await append(term, { ...savepointBody(2, 'Suspended'), manifest: key, sha256 } as LogBody)
    await retired.afterCheckpoint()
    await clock.runFor(9 * 24 * HOUR)
    expect(objects.list('savepoints/').map((o) => o.key)).toEqual([key])
  })
})

describe('orphans', () => {
  test('are deleted after the first checkpoint of a leader, then looked for once an hour', async () => {
    const { clock, store, complete, files, requests } = await setup()
    await store.create('chk/1-1/count-0-1.1.state', Buffer.from('left'))
    await clock.runFor(HOUR)
    await complete(2)
    expect(files()).toEqual(keysOf(2))
    await store.create('chk/3-1/count-0-1.1.state', Buffer.from('left'))
    requests.length = 0
    await complete(4)
    expect(requests.filter((r) => r === 'list')).toHaveLength(1)
    await clock.runFor(HOUR)
    await complete(5)
    expect(files()).toEqual([...keysOf(2), ...keysOf(4), ...keysOf(5)])
  })

  test('their age is told by the clock of the store, whatever the own one says', async () => {
    let now = 0
    const { clock, store, complete, files } = await setup({ storeNow: () => now })
    await complete(1)
    await store.create('chk/2-1/count-0-1.1.state', Buffer.from('left'))
    now = HOUR - 1
    await clock.runFor(9 * HOUR)
    await complete(3)
    expect(files()).toContain('chk/2-1/count-0-1.1.state')
    now = HOUR
    await clock.runFor(HOUR)
    await complete(4)
    expect(files()).not.toContain('chk/2-1/count-0-1.1.state')
  })

  test('are never those that a retirement in its grace needs', async () => {
    const { clock, store, complete, files } = await setup()
    await complete(1)
    await store.create('chk/2-1/count-0-1.1.state', Buffer.from('left'))
    await clock.runFor(HOUR)
    await complete(3, { retires: [1] })
    expect(files()).toEqual([...keysOf(1), ...keysOf(3)])
  })

  test('one sweep runs at a time, and none after close', async () => {
    const { clock, hooks, complete, retired, files } = await setup()
    let [running, most] = [0, 0]
    const slow = async (operation: string) => {
      if (operation !== 'delete') return
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running--
    }
    hooks.before = slow
    await complete(1)
    await complete(2, { retires: [1] })
    await clock.runFor(GRACE)
    await Promise.all([retired.afterCheckpoint(), retired.afterCheckpoint()])
    expect(most).toBe(1)
    await complete(3, { retires: [2] })
    retired.close()
    await retired.afterCheckpoint()
    await clock.runFor(HOUR)
    expect(files()).toEqual([...keysOf(2), ...keysOf(3)])
  })

  test('a store that fails is asked again after a later checkpoint', async () => {
    const { clock, hooks, complete, files } = await setup()
    await complete(1)
    hooks.before = (operation) => {
      if (operation === 'delete') throw new WeirError('STO_UNAVAILABLE', 'no answer')
    }
    await complete(2, { retires: [1] })
    await clock.runFor(GRACE)
    expect(files()).toHaveLength(4)
    delete hooks.before
    await complete(3)
    expect(files()).toEqual([...keysOf(2), ...keysOf(3)])
  })
})
