import { describe, expect, test } from 'vitest'
import { noCounts } from '#runtime/connectors/connector-context'
import type { Barrier } from '#runtime/contract/rpc'
import type { StreamOperator } from '#runtime/operators/stream-operator'
import { HeapBackend } from '#runtime/state/heap-backend'
import { readListState } from '#runtime/state/list-state'
import { encodeStateFile, openStateFile } from '#runtime/state/snapshot-format'
import type { ChainedOperator, ListStateHook } from '#runtime/task/operator-chain'
import { ChainLengths, MAX_CHAIN_LENGTH, SubtaskSnapshot } from '#runtime/task/subtask-snapshot'

function keyedOperator(uid: string, entries = 1000): ChainedOperator & { readonly keyed: HeapBackend } {
  const keyed = new HeapBackend({
    uid,
    keyGroups: { from: 0, to: 128 },
    maxParallelism: 128,
    monotonic: () => performance.now(),
  })
  for (let i = 0; i < entries; i++) keyed.table('t').put(i, i)
  return { ...operator(uid), keyed }
}

const operator = (uid: string, lists: ListStateHook[] = []): ChainedOperator => ({
  uid,
  operator: {} as StreamOperator,
  lists,
  keyed: undefined,
  formerly: [],
  location: 'job.ts:1:1',
  states: [],
  counters: noCounts(),
})

const list = (name: string, items: () => unknown[] | Promise<unknown[]>): ListStateHook => ({
  name,
  mode: 'split',
  snapshot: items,
})

/** Snapshots of one subtask, one after the other, each based on the one before. */
class Subtask {
  readonly #operators: readonly ChainedOperator[]
  readonly #chains = new ChainLengths()
  #id = 0
  constructor(...operators: ChainedOperator[]) {
    this.#operators = operators
  }

  begin(base = this.#id, onListsReady = () => {}): SubtaskSnapshot {
    const id = ++this.#id
    const kind = 'checkpoint'
    const barrier: Barrier = { epoch: 1, id, base, kind, directory: `chk/${id}-1`, stop: false, drain: false }
    return new SubtaskSnapshot({
      operators: this.#operators,
      barrier,
      alignmentMs: 0,
      chains: this.#chains,
      monotonic: () => performance.now(),
      onListsReady,
    })
  }

  async snapshot({ base = this.#id }: { readonly base?: number } = {}) {
    const ready = Promise.withResolvers<void>()
    const snapshot = this.begin(base, () => ready.resolve())
    await ready.promise
    while (!snapshot.step(1000));
    if (snapshot.failure !== undefined) throw new Error(snapshot.failure.error.message)
    const { mode, uids, keyed, lists } = await snapshot.finish((c) => encodeStateFile(c, { compress: false }))
    const indexOf = (bytes: Uint8Array | undefined) =>
      bytes && openStateFile(bytes).index.map((s) => `${s.uid}/${s.table} ${s.kind}`)
    return { mode, uids, keyed: indexOf(keyed), lists: indexOf(lists), listBytes: lists }
  }
}

describe('SubtaskSnapshot', () => {
  test('puts keyed state and list states into files of their own', async () => {
    const keyed = keyedOperator('count', 1)
    const subtask = new Subtask(keyed, operator('out', [list('pending', () => [1])]))
    expect(await subtask.snapshot()).toMatchObject({
      mode: 'full',
      uids: ['count', 'out'],
      keyed: ['count/t entries'],
      lists: ['out/pending list-split'],
    })
  })

  test('list states that change do not lengthen the chain of keyed state that does not', async () => {
    let n = 0
    const subtask = new Subtask(keyedOperator('count'), operator('out', [list('pending', () => [n++])]))
    await subtask.snapshot()
    for (let i = 0; i < 100; i++)
      expect(await subtask.snapshot()).toMatchObject({ mode: 'delta', keyed: undefined })
  })

  test('list states that do not change give the same bytes', async () => {
    const items = [{ file: 'a', at: 7 }, ['b', 1n], undefined]
    const subtask = new Subtask(operator('in', [list('splits', () => items), list('rest', () => [])]))
    const first = await subtask.snapshot()
    expect((await subtask.snapshot()).listBytes).toEqual(first.listBytes)
  })

  test('a subtask without state has neither file; with empty keyed state it has a first file', async () => {
    const nothing = await new Subtask(operator('map')).snapshot()
    expect(nothing).toMatchObject({ uids: [], keyed: undefined, lists: undefined })
    expect(await new Subtask(keyedOperator('count', 0)).snapshot()).toMatchObject({ mode: 'full', keyed: [] })
  })

  test('begins a new chain after as many files as may be, not counting deltas without content', async () => {
    const count = keyedOperator('count')
    const subtask = new Subtask(count)
    const written: string[] = []
    for (let i = 0; i < 2 * MAX_CHAIN_LENGTH + 4; i++) {
      if (i % 2 === 0) count.keyed.table('t').put(1, i)
      const { mode, keyed } = await subtask.snapshot()
      if (keyed !== undefined) written.push(mode)
    }
    const deltas = Array<string>(MAX_CHAIN_LENGTH - 1).fill('delta')
    expect(written).toEqual(['full', ...deltas, 'full', 'delta'])
  })

  test('the bound is one for the chain, however many operators change in turn', async () => {
    const all = ['a', 'b', 'c'].map((uid) => keyedOperator(uid))
    const subtask = new Subtask(...all)
    const modes: string[] = []
    for (let i = 0; i < MAX_CHAIN_LENGTH + 2; i++) {
      all[i % 3]?.keyed.table('t').put(1, i)
      modes.push((await subtask.snapshot()).mode)
    }
    expect(modes.lastIndexOf('full')).toBe(MAX_CHAIN_LENGTH)
  })

  test('a chain that is full is left as it is while nothing changes', async () => {
    const count = keyedOperator('count')
    const subtask = new Subtask(count)
    for (let i = 0; i < MAX_CHAIN_LENGTH; i++) {
      count.keyed.table('t').put(1, i)
      await subtask.snapshot()
    }
    for (let i = 0; i < 5; i++)
      expect(await subtask.snapshot()).toMatchObject({ mode: 'delta', keyed: undefined })
    count.keyed.table('t').put(1, 'x')
    expect(await subtask.snapshot()).toMatchObject({ mode: 'full' })
  })

  test('counts from the base that the barrier names, whatever was tried in between', async () => {
    const count = keyedOperator('count')
    const subtask = new Subtask(count)
    await subtask.snapshot()
    for (let i = 0; i < 3 * MAX_CHAIN_LENGTH; i++) {
      count.keyed.table('t').put(1, i)
      expect((await subtask.snapshot({ base: 1 })).mode).toBe('delta')
    }
  })

  test('is a delta only when every operator of the chain has one', async () => {
    const [a, b] = [keyedOperator('a'), keyedOperator('b', 4)]
    const subtask = new Subtask(a, b)
    await subtask.snapshot()
    for (let i = 0; i < 4; i++) b.keyed.table('t').put(i, 'changed')
    a.keyed.table('t').put(1, 'x')
    expect((await subtask.snapshot()).mode).toBe('delta')
    for (let i = 0; i < 4; i++) b.keyed.table('t').put(i, 'again')
    const whole = await subtask.snapshot()
    expect(whole.mode).toBe('full')
    expect(whole.keyed?.filter((s) => s.startsWith('a/')).length).toBeGreaterThan(100)
  })

  test('one that a newer one overtakes is given up, and says so', async () => {
    const subtask = new Subtask(keyedOperator('count'))
    const overtaken = subtask.begin()
    const { keyed } = await subtask.snapshot()
    expect(keyed).not.toEqual([])
    expect(overtaken.step(1000)).toBe(true)
    expect(overtaken.failure).toMatchObject({
      reason: 'CHECKPOINT_DECLINED',
      error: { code: 'CKP_DECLINED', message: expect.stringContaining('checkpoint 1 was given up') },
    })
  })

  test('list states are as of the barrier, although their operator goes on changing them', async () => {
    const positions = [{ split: 'a', position: 3 }]
    const begun = new Subtask(operator('source', [list('positions', () => positions)]))
    const taken = begun.snapshot()
    positions[0]!.position = 99
    const { listBytes } = await taken
    expect(readListState(openStateFile(listBytes!), 'source', 'positions')?.items).toEqual([
      { split: 'a', position: 3 },
    ])
  })

  test('a list state that cannot be taken is said', async () => {
    const failing = list('pending', () => Promise.reject(new Error('disk full')))
    await expect(new Subtask(operator('out', [failing])).snapshot()).rejects.toThrow('disk full')
  })
})
