import { describe, expect, test } from 'vitest'
import type { Clock } from '#runtime/base/clock'
import { silentLogger } from '#runtime/base/logger'
import {
  fileKeys,
  readManifest,
  sha256Of,
  verifyCheckpoint,
  writeManifest,
} from '#runtime/commit-log/manifest-io'
import type { LogBody, Manifest, StateFile } from '#runtime/contract/checkpoint-records'
import { RetiredFiles } from '#runtime/commit-log/retired-files'
import { chooseRetired } from '#runtime/commit-log/retention'
import type { Term } from '#runtime/commit-log/term'
import { MemoryObjects, MemoryStore } from '#runtime/storage/memory-store'
import { manifestKey, stateFileKey } from '#runtime/storage/paths'
import { append, checkpointBody, deployBody, JOB, leadLog, savepointBody } from '#test/kit/commit-log'

const bytesOf = (id: number): Uint8Array => Buffer.from(`state of ${id}`)
const fileOf = (id: number, epoch = 1): StateFile => ({
  key: stateFileKey(`chk/${id}-${epoch}`, { vertex: 'count', subtask: 0, attempt: '1.1' }),
  sizeBytes: bytesOf(id).byteLength,
  sha256: sha256Of(bytesOf(id)),
  writtenBy: id,
  mode: 'full',
})

function manifestOf(id: number, chain: StateFile[], more: Partial<Manifest> = {}): Manifest {
  const subtasks = [{ subtask: 0, keyGroups: [0, 128] as [number, number], chain }]
  return {
    v: 1,
    type: 'checkpoint',
    id,
    epoch: 1,
    attempt: '1.1',
    job: { namespace: JOB.namespace, name: JOB.name, uid: JOB.uid },
    createdAt: 0,
    planHash: 'plan',
    maxParallelism: 128,
    base: 0,
    vertices: [{ vertex: 'count', uids: ['count'], parallelism: 1, subtasks }],
    sizeBytes: chain.reduce((n, f) => n + f.sizeBytes, 0),
    ...more,
  }
}

/** Completes checkpoint `id`: one new file, and those of `reuses`. */
async function complete(
  store: MemoryStore,
  term: Term,
  id: number,
  reuses: number[],
  retires: number[],
): Promise<void> {
  await store.create(fileOf(id).key as string, bytesOf(id))
  const { key, sha256 } = await writeManifest(
    store,
    manifestOf(id, [...reuses.map((r) => fileOf(r)), fileOf(id)]),
  )
  await append(term, checkpointBody(id, term.epoch, '1.1', { manifest: key, sha256, retires }))
}

describe('manifests', () => {
  test('are written once, to the directory of their checkpoint, and read back', async () => {
    const store = new MemoryStore()
    const manifest = manifestOf(3, [fileOf(3)])
    const written = await writeManifest(store, manifest)
    expect(written.key).toBe('chk/3-1/manifest.json')
    expect(await writeManifest(store, manifest)).toEqual(written)
    expect(await readManifest(store, written.key, written.sha256)).toEqual(manifest)
    expect(fileKeys(manifest)).toEqual(['chk/3-1/count-0-1.1.state'])
    await expect(writeManifest(store, { ...manifest, createdAt: 1 })).rejects.toMatchObject({
      code: 'STO_EXISTS',
    })
  })
  test('of savepoints go to their own directory', async () => {
    const store = new MemoryStore()
    expect((await writeManifest(store, manifestOf(3, [], { type: 'savepoint' }))).key).toBe(
      'savepoints/3-1/manifest.json',
    )
    expect(
      (await writeManifest(store, manifestOf(3, [], { type: 'savepoint' }), { directory: '' })).key,
    ).toBe('manifest.json')
  })
  test('that are damaged or missing are named', async () => {
    const store = new MemoryStore()
    const { key, sha256 } = await writeManifest(store, manifestOf(1, []))
    await expect(readManifest(store, 'chk/2-1/manifest.json')).rejects.toMatchObject({ code: 'STO_MISSING' })
    store.objects.overwrite(key, Buffer.from('{}'))
    await expect(readManifest(store, key, sha256)).rejects.toThrow(/chk\/1-1\/manifest.json is damaged/)
    await expect(readManifest(store, key)).rejects.toMatchObject({ code: 'STO_CORRUPT' })
  })
})

test('verifyCheckpoint names every file that is missing, cut or changed', async () => {
  const store = new MemoryStore()
  for (const id of [1, 2, 3]) await store.create(fileOf(id).key as string, bytesOf(id))
  const inline = Buffer.from('inline')
  const { key: _, ...rest } = fileOf(5)
  const inlined: StateFile = {
    ...rest,
    inline: inline.toString('base64'),
    sizeBytes: inline.byteLength,
    sha256: sha256Of(inline),
  }
  store.objects.overwrite(fileOf(2).key as string, Buffer.from('state of x'))
  store.objects.overwrite(fileOf(3).key as string, Buffer.from('state'))
  const checks = []
  for await (const check of verifyCheckpoint(
    store,
    manifestOf(5, [fileOf(1), fileOf(2), fileOf(3), fileOf(4), inlined]),
  ))
    checks.push(check)
  expect(checks.map((c) => c.problem)).toEqual([
    undefined,
    'wrong hash',
    'wrong length',
    'missing',
    undefined,
  ])
  expect(checks[1]).toMatchObject({
    vertex: 'count',
    subtask: 0,
    url: 'memory://store/chk/2-1/count-0-1.1.state',
  })
})

describe('chooseRetired', () => {
  const started: LogBody[] = [deployBody('1.1'), ...[1, 2, 3].map((id) => checkpointBody(id, 1, '1.1'))]
  const stateAfter = async (...bodies: LogBody[]) => {
    const { term } = await leadLog(new MemoryStore())
    for (const body of bodies) await append(term, body)
    return term.state
  }
  test('keeps the newest, counting the one that completes', async () => {
    const state = await stateAfter(...started)
    expect(chooseRetired(state, { retain: 3, bases: [], now: 0 })).toEqual([1])
    expect(chooseRetired(state, { retain: 1, bases: [], now: 0 })).toEqual([1, 2, 3])
    expect(chooseRetired(state, { retain: 9, bases: [], now: 0 })).toEqual([])
  })
  test('keeps bases in use and pinned ones beyond that', async () => {
    const state = await stateAfter(...started, { kind: 'PIN', ids: [1], by: 'fork', until: 500 })
    expect(chooseRetired(state, { retain: 1, bases: [3], now: 499 })).toEqual([2])
    expect(chooseRetired(state, { retain: 1, bases: [3], now: 500 })).toEqual([1, 2])
  })
})

const clockAt = (now: () => number): Clock => ({
  now,
  monotonic: now,
  after: () => ({ cancel: () => undefined }),
  soon: () => undefined,
})

describe('retired files', () => {
  const setup = async () => {
    let now = 0
    const objects = new MemoryObjects(() => now)
    const store = new MemoryStore({ objects })
    const { log, term } = await leadLog(store)
    await append(term, deployBody('1.1'))
    const retired = new RetiredFiles({
      store,
      log: term,
      clock: clockAt(() => now),
      logger: silentLogger,
      graceMs: 1000,
    })
    const files = async (): Promise<string[]> => (await store.list('chk/')).map((o) => o.key)
    return { store, log, term, retired, files, objects, at: (time: number) => void (now = time) }
  }

  test('stay for the grace, then go unless a retained manifest refers to them', async () => {
    const { store, term, retired, files, at } = await setup()
    await complete(store, term, 1, [], [])
    await complete(store, term, 2, [], [])
    await complete(store, term, 3, [1], [1, 2])
    expect(await retired.sweep()).toBe(0)
    at(999)
    expect(await retired.sweep()).toBe(0)
    at(1000)
    expect(await retired.sweep()).toBe(3)
    expect(await files()).toEqual([fileOf(1).key, 'chk/3-1/count-0-1.1.state', 'chk/3-1/manifest.json'])
    expect(term.state.retirements).toEqual([])
    await complete(store, term, 4, [], [3])
    await retired.sweep()
    at(5000)
    await retired.sweep()
    expect(await files()).toEqual(['chk/4-1/count-0-1.1.state', 'chk/4-1/manifest.json'])
  })

  test('a new leader finishes what the old one logged', async () => {
    const { store, term, files, retired, at } = await setup()
    await complete(store, term, 1, [], [])
    await complete(store, term, 2, [], [1])
    const next = await leadLog(store, { leader: 'jm-b' })
    const clock = clockAt(() => 0)
    expect(
      await new RetiredFiles({ store, log: next.term, clock, logger: silentLogger, graceMs: 0 }).sweep(),
    ).toBe(2)
    expect(await files()).toEqual(['chk/2-1/count-0-1.1.state', 'chk/2-1/manifest.json'])
    await retired.sweep()
    at(1000)
    expect(await retired.sweep()).toBe(0)
  })

  test('nothing is deleted while a retained manifest cannot be read', async () => {
    const { store, term, files, retired, objects, at } = await setup()
    await complete(store, term, 1, [], [])
    await complete(store, term, 2, [1], [1])
    const before = await files()
    objects.overwrite(manifestKey('chk/2-1'), Buffer.from('{}'))
    await retired.sweep()
    at(1000)
    await expect(retired.sweep()).rejects.toMatchObject({ code: 'STO_CORRUPT' })
    expect(await files()).toEqual(before)
  })

  test('orphans of older epochs are found, and deleted only when asked', async () => {
    const { store, log, term, retired, files, at } = await setup()
    await complete(store, term, 1, [], [])
    await store.create('chk/2-1/count-0-1.1.state', bytesOf(2))
    const dryRun = { dryRun: true, minAgeMs: 100 }
    at(100)
    expect(await retired.sweepOrphans(dryRun)).toEqual([])
    await log.openEpoch({ run: 1, leader: 'jm-b', floor: 1 })
    expect(await retired.sweepOrphans({ ...dryRun, minAgeMs: 101 })).toEqual([])
    expect(await retired.sweepOrphans(dryRun)).toEqual(['chk/2-1/count-0-1.1.state'])
    expect(await files()).toHaveLength(3)
    await retired.sweepOrphans({ ...dryRun, dryRun: false })
    expect(await files()).toHaveLength(2)
  })

  test('the manifest of a stopping savepoint stays while it is the restore point', async () => {
    const { store, term, retired, files, at } = await setup()
    await complete(store, term, 1, [], [])
    const { key, sha256 } = await writeManifest(store, manifestOf(2, [fileOf(1)]))
    await append(term, { ...savepointBody(2, 'Suspended'), manifest: key, sha256 } as LogBody)
    await append(term, { kind: 'RETIRE', ids: [1], files: [] })
    await retired.sweep()
    at(1000)
    await retired.sweep()
    expect(await files()).toEqual([fileOf(1).key, key])
  })
})
