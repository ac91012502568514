import { describe, expect, test } from 'vitest'
import { sha256Of } from '#runtime/base/sha256'
import { fileKeys, readManifest, verifyCheckpoint, writeManifest } from '#runtime/commit-log/manifest-io'
import type { Manifest, StateFile } from '#runtime/contract/checkpoint-records'
import { MemoryStore } from '#runtime/storage/memory-store'
import { stateFileKey } from '#runtime/storage/paths'
import { manifestOf } from '#test/kit/checkpoint'

const bytesOf = (id: number): Uint8Array => Buffer.from(`state of ${id}`)
const fileOf = (id: number, part: 'state' | 'lists' = 'state'): StateFile => ({
  key: stateFileKey(`chk/${id}-1`, { vertex: 'count', subtask: 0, attempt: '1.1', part }),
  sizeBytes: bytesOf(id).byteLength,
  sha256: sha256Of(bytesOf(id)),
  writtenBy: id,
  mode: 'full',
})

function withFiles(
  id: number,
  chain: StateFile[],
  kind: Manifest['type'] = 'checkpoint',
  lists?: StateFile,
): Manifest {
  const own = lists === undefined ? {} : { lists }
  const subtasks = [{ subtask: 0, keyGroups: [0, 128] as [number, number], chain, ...own }]
  const vertices = [{ vertex: 'count', uids: ['count'], states: [], parallelism: 1, subtasks }]
  return manifestOf({ id, epoch: 1, attempt: '1.1', base: 0, kind }, { vertices })
}

describe('manifests', () => {
  test('are written once, to the directory of their checkpoint, and read back', async () => {
    const store = new MemoryStore()
    const manifest = withFiles(3, [fileOf(3)], 'checkpoint', fileOf(3, 'lists'))
    const written = await writeManifest(store, manifest)
    expect(written.key).toBe('chk/3-1/manifest.json')
    expect(await writeManifest(store, manifest)).toEqual(written)
    expect(await readManifest(store, written.key, written.sha256)).toEqual(manifest)
    expect(fileKeys(manifest)).toEqual(['chk/3-1/count-0-1.1.state', 'chk/3-1/count-0-1.1.lists'])
    await expect(writeManifest(store, { ...manifest, createdAt: 1 })).rejects.toMatchObject({
      code: 'STO_EXISTS',
    })
  })
  test('of savepoints go to their own directory', async () => {
    const store = new MemoryStore()
    expect((await writeManifest(store, withFiles(3, [], 'savepoint'))).key).toBe(
      'savepoints/3-1/manifest.json',
    )
    expect((await writeManifest(store, withFiles(3, [], 'savepoint'), { directory: '' })).key).toBe(
      'manifest.json',
    )
  })
  test('that are damaged or missing are named', async () => {
    const store = new MemoryStore()
    const { key, sha256 } = await writeManifest(store, withFiles(1, []))
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
  const manifest = withFiles(5, [fileOf(1), fileOf(2), fileOf(3), fileOf(4)], 'checkpoint', inlined)
  for await (const check of verifyCheckpoint(store, manifest)) checks.push(check)
  expect(checks.map((c) => c.problem)).toEqual([
    undefined,
    'wrong hash',
    'wrong length',
    'missing',
    undefined,
  ])
  expect(checks.map((c) => c.holds)).toEqual([...Array<string>(4).fill('keyed state'), 'list states'])
  expect(checks[1]).toMatchObject({
    vertex: 'count',
    subtask: 0,
    url: 'memory://store/chk/2-1/count-0-1.1.state',
  })
})
