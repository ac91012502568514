import { describe, expect, test } from 'vitest'
import type { LogState } from '#runtime/commit-log/log-state'
import { chooseRetired, findOrphans, keptManifests } from '#runtime/commit-log/retention'
import type { LogBody } from '#runtime/contract/checkpoint-records'
import { MemoryStore } from '#runtime/storage/memory-store'
import { append, checkpointBody, deployBody, leadLog, savepointBody } from '#test/kit/commit-log'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const started: LogBody[] = [deployBody('1.1'), ...[1, 2, 3].map((id) => checkpointBody(id, 1, '1.1'))]

async function stateAfter(...bodies: LogBody[]): Promise<LogState> {
  const { term } = await leadLog(new MemoryStore())
  for (const body of bodies) await append(term, body)
  return term.state
}

describe('chooseRetired', () => {
  test('keeps the newest, counting the one that completes', async () => {
    const state = await stateAfter(...started)
    expect(chooseRetired(state, { retain: 3, now: 0, asked: new Set() })).toEqual([1])
    expect(chooseRetired(state, { retain: 1, now: 0, asked: new Set() })).toEqual([1, 2, 3])
    expect(chooseRetired(state, { retain: 9, now: 0, asked: new Set() })).toEqual([])
  })
  test('keeps pinned ones beyond that', async () => {
    const state = await stateAfter(...started, { kind: 'PIN', ids: [1], by: 'fork', until: 500 })
    expect(chooseRetired(state, { retain: 1, now: 499, asked: new Set() })).toEqual([2, 3])
    expect(chooseRetired(state, { retain: 1, now: 500, asked: new Set() })).toEqual([1, 2, 3])
  })
})

describe('keptManifests', () => {
  test('are those of the retained checkpoints, each once however many share it', async () => {
    const shared = { manifest: 'chk/2-1/manifest.json', sha256: 'aa'.repeat(32) }
    const state = await stateAfter(
      deployBody('1.1'),
      checkpointBody(1, 1, '1.1'),
      checkpointBody(2, 1, '1.1', { ...shared, base: 1 }),
      checkpointBody(3, 1, '1.1', { ...shared, base: 2, retires: [1] }),
    )
    expect(keptManifests(state)).toEqual([shared])
  })
  test("hold the job's own copy of a savepoint as long as it is the restore point", async () => {
    const copy = { manifest: 'savepoints/4-1/manifest.json' }
    const state = await stateAfter(...started, { ...savepointBody(4, 'Suspended'), ...copy } as LogBody)
    expect(keptManifests(state).map((m) => m.manifest)).toContain(copy.manifest)
  })
})

describe('findOrphans', () => {
  const found = (state: LogState, keys: readonly string[], ageMs: number, reached: readonly string[] = []) =>
    findOrphans(
      keys.map((key) => ({ key, sizeBytes: 1, modifiedAt: 0 })),
      { state, storeUrl: 'memory://store', reached: new Set(reached), now: ageMs },
    )

  test('what a failed checkpoint left is one an hour later, when a newer one has completed', async () => {
    const state = await stateAfter(...started, checkpointBody(6, 1, '1.1'))
    const left = ['chk/5-1/count-0-1.1.state', 'chk/5-1/manifest.json']
    expect(found(state, left, HOUR)).toEqual(left)
    expect(found(state, left, HOUR - 1)).toEqual([])
    expect(found(state, left, HOUR, [left[0] as string])).toEqual([left[1]])
  })
  test('what may still complete is none: ids above the newest, and epochs above the open one', async () => {
    const state = await stateAfter(...started)
    expect(found(state, ['chk/3-1/x.state', 'chk/4-1/x.state', 'chk/1-2/x.state'], 9 * DAY)).toEqual([])
  })
  test('of older epochs every id is one', async () => {
    const state = { ...(await stateAfter(...started)), epoch: 2 }
    expect(found(state, ['chk/9-1/x.state'], HOUR)).toEqual(['chk/9-1/x.state'])
  })
  test('files of a failed savepoint are, a day old, when there is no manifest beside them', async () => {
    const state = await stateAfter(...started)
    const left = ['savepoints/2-1/count-0-1.1-2.state', 'savepoints/2-1/count-0-1.1-2.lists']
    expect(found(state, left, DAY)).toEqual(left)
    expect(found(state, left, DAY - 1)).toEqual([])
    expect(found(state, [...left, 'savepoints/2-1/manifest.json'], DAY)).toEqual([])
  })
  test("nothing of a user's is: other names, directories below, savepoints that the log names", async () => {
    const own = { ...savepointBody(2), path: 'memory://store/savepoints/2-1' } as LogBody
    const state = await stateAfter(deployBody('1.1'), own, checkpointBody(3, 1, '1.1'))
    const keys = [
      'savepoints/2-1/count-0-1.1-2.state',
      'savepoints/1-1/notes.txt',
      'savepoints/1-1/count-0-1.1-2024.state',
      'savepoints/1-1/before-upgrade/count-0-1.1-1.state',
      'savepoints/before-upgrade/count-0-1.1-1.state',
      'mine/1-1/count-0-1.1-1.state',
    ]
    expect(found(state, keys, 9 * DAY)).toEqual([])
  })
  test('the copy of a stopping savepoint elsewhere is, once the job has gone on from it', async () => {
    const manifest = 'savepoints/4-1/manifest.json'
    const copy = [manifest, 'savepoints/4-1/count-0-1.1-4.state']
    const stopped = await stateAfter(...started, { ...savepointBody(4, 'Suspended'), manifest } as LogBody)
    expect(found({ ...stopped, epoch: 2 }, copy, DAY)).toEqual([])
    const point = { kind: 'checkpoint', id: 5, manifest: 'chk/5-2/manifest.json', sha256: 'x' } as const
    expect(found({ ...stopped, epoch: 2, restorePoint: point }, copy, DAY)).toEqual(copy)
    expect(found({ ...stopped, epoch: 2, restorePoint: point }, copy, DAY - 1)).toEqual([])
  })
})
