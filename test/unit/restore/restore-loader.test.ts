import { describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/base/clock'
import { writeManifest } from '#runtime/commit-log/manifest-io'
import type { RestorePoint, SubtaskState } from '#runtime/contract/checkpoint-records'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { Barrier, Deployment, SubtaskPlace } from '#runtime/contract/rpc'
import { keyGroupRange } from '#runtime/element/key-group'
import { loadRestore } from '#runtime/restore/restore-loader'
import { matchUids, openRestorePoint } from '#runtime/restore/restore-point'
import { SubtaskRestore } from '#runtime/restore/subtask-restore'
import { HeapBackend } from '#runtime/state/heap-backend'
import { encodeListSection } from '#runtime/state/list-state'
import { encodeStateFile } from '#runtime/state/snapshot-format'
import { type MemoryHooks, MemoryStore } from '#runtime/storage/memory-store'
import { StateUploader } from '#runtime/task-manager/state-uploader'
import { manifestOf } from '#test/kit/checkpoint'

const MAX_PARALLELISM = 128
const KEYS = 2000
const backendOf = (subtask: number, parallelism: number): HeapBackend =>
  new HeapBackend({
    uid: 'count',
    keyGroups: keyGroupRange(subtask, parallelism, MAX_PARALLELISM),
    maxParallelism: MAX_PARALLELISM,
    monotonic: () => performance.now(),
  })
const own = (subtask: number, parallelism: number): number[] =>
  Array.from({ length: KEYS }, (_, key) => key).filter((key) => {
    try {
      backendOf(subtask, parallelism).table('t').put(key, 0)
      return true
    } catch {
      return false
    }
  })

/**
 * A vertex of two subtasks: checkpoint 1 whole, 2 with changes of one subtask and other list
 * states, 3 as 2. Gives the store, and what to restore from.
 */
async function stored() {
  const hooks: MemoryHooks = {}
  const store = new MemoryStore({ hooks })
  const uploader = new StateUploader({
    store,
    attempt: '1.1',
    clock: systemClock,
    random: Math.random,
    signal: new AbortController().signal,
  })
  const backends = [0, 1].map((subtask) => backendOf(subtask, 2))
  const keys = [0, 1].map((subtask) => own(subtask, 2))
  const snapshot = async (id: number, items: readonly (readonly unknown[])[]): Promise<SubtaskState[]> => {
    const directory = `chk/${id}-1`
    const barrier: Barrier = {
      epoch: 1,
      id,
      base: id - 1,
      kind: 'checkpoint',
      directory,
      stop: false,
      drain: false,
    }
    const acks = backends.map(async (backend, subtask) => {
      const frozen = backend.snapshot(id, id - 1)
      while (!frozen.step(1000));
      const { mode } = frozen
      const sections = frozen.sections()
      const lists = [encodeListSection('count', 'offsets', 'split', items[subtask] ?? [])]
      const { state } = await uploader.upload(
        {
          type: 'snapshot',
          subtask: { vertex: 'count', subtask },
          barrier,
          mode,
          uids: ['count'],
          states: [],
          keyed: sections.length === 0 ? undefined : encodeStateFile({ mode, sections }, { compress: false }),
          lists: encodeStateFile({ mode: 'full', sections: lists }, { compress: false }),
          alignmentMs: 0,
          syncMs: 0,
          asyncMs: 0,
        },
        [backend.keyGroups.from, backend.keyGroups.to],
      )
      return state
    })
    return Promise.all(acks)
  }
  for (const [subtask, backend] of backends.entries())
    for (const key of keys[subtask] ?? []) backend.table('t').put(key, `value of ${key}`)
  await snapshot(1, [['a'], ['b']])
  const changed = keys[1]?.[0] as number
  backends[1]?.table('t').put(changed, 'changed')
  await snapshot(2, [['a', 'c'], ['d']])
  const subtasks = await snapshot(3, [['a', 'c'], ['d']])
  const vertices = [{ vertex: 'count', uids: ['count'], states: [], parallelism: 2, subtasks }]
  const manifest = manifestOf(
    { id: 2, epoch: 1, attempt: '1.1', base: 1, kind: 'checkpoint' },
    { vertices, maxParallelism: MAX_PARALLELISM },
  )
  const { key, sha256 } = await writeManifest(store, manifest)
  const point: RestorePoint = { kind: 'checkpoint', id: 3, manifest: key, sha256 }
  return { store, hooks, point, manifest, changed }
}

function deploymentOf(parallelism: number): Deployment {
  const plan = {
    maxParallelism: MAX_PARALLELISM,
    vertices: [{ id: 'count', parallelism, operators: [{ uid: 'count', formerly: [] }] }],
  } as unknown as ExecutionPlan
  return { plan } as Deployment
}

async function restore(it: Awaited<ReturnType<typeof stored>>, parallelism: number, only?: number) {
  const stores = { own: it.store, at: () => it.store }
  const open = await openRestorePoint(it.point, stores)
  const places = Array.from({ length: parallelism }, (_, subtask): SubtaskPlace => ({
    vertex: 'count',
    subtask,
    taskManager: 'a',
    slot: 0,
  })).filter((p) => only === undefined || p.subtask === only)
  const read: number[] = []
  const inputs = await loadRestore(open, deploymentOf(parallelism), places, {
    clock: systemClock,
    random: Math.random,
    signal: new AbortController().signal,
    limitMs: 1000,
    onRead: (sizeBytes) => void read.push(sizeBytes),
  })
  const subtasks = places.map(({ subtask }) => {
    const restored = new SubtaskRestore(inputs[`count/${subtask}`])
    const backend = backendOf(subtask, parallelism)
    restored.keyed('count', backend, {})
    const items = restored.list('count', 'offsets', subtask, parallelism)
    return { checkpointId: restored.checkpointId, backend, items }
  })
  return { subtasks, read }
}

describe('loadRestore', () => {
  test.each([1, 2, 3])('restores keyed state and list states into %i subtasks', async (parallelism) => {
    const it = await stored()
    const { subtasks } = await restore(it, parallelism)
    const all = new Map(subtasks.flatMap(({ backend }) => [...backend.table<number, string>('t').entries()]))
    expect(all.size).toBe(KEYS)
    expect(all.get(it.changed)).toBe('changed')
    expect(all.get(KEYS - 1)).toBe(`value of ${KEYS - 1}`)
    expect(subtasks.flatMap(({ items }) => items).toSorted()).toEqual(['a', 'c', 'd'])
  })

  test('at the same parallelism list states stay with their subtasks', async () => {
    const { subtasks } = await restore(await stored(), 2)
    expect(subtasks.map(({ items }) => items)).toEqual([['a', 'c'], ['d']])
  })

  test('the checkpoint is that of the record, also if its manifest is an earlier one’s', async () => {
    const it = await stored()
    expect(it.manifest.id).toBe(2)
    const { subtasks } = await restore(it, 2)
    expect(subtasks.map(({ checkpointId }) => checkpointId)).toEqual([3, 3])
  })

  test('reads of other subtasks only what list states they have', async () => {
    const it = await stored()
    const [first, second] = it.manifest.vertices[0]?.subtasks ?? []
    const { read } = await restore(it, 2, 0)
    const files = [...(first?.chain ?? []), first?.lists, second?.lists]
    expect(read.toSorted((a, b) => a - b)).toEqual(
      files.map((f) => f?.sizeBytes ?? 0).toSorted((a, b) => a - b),
    )
  })

  test('a subtask that has nothing but list states has state that must be taken over', async () => {
    const { manifest } = await stored()
    const bare = manifest.vertices.map((v) => ({
      ...v,
      uids: ['source'],
      states: [],
      subtasks: v.subtasks.map((s) => ({ ...s, chain: [] })),
    }))
    expect(matchUids({ ...manifest, vertices: bare }, deploymentOf(2).plan).unmatched).toEqual(['source'])
  })
})
