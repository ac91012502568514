import { describe, expect, test } from 'vitest'
import { HeapBackend } from '#runtime/state/heap-backend'
import type { KeyedSnapshot, StateFileReader } from '#runtime/state/keyed-state'
import { encodeStateFile, openStateFile } from '#runtime/state/snapshot-format'

const ALL = { from: 0, to: 128 }

function heapBackend(keyGroups = ALL, maxParallelism = 128): HeapBackend {
  let now = 0
  return new HeapBackend({ uid: 'op', keyGroups, maxParallelism, monotonic: () => now++ })
}

function write(snapshot: KeyedSnapshot): StateFileReader {
  while (!snapshot.step(1)) expect(() => snapshot.sections()).toThrow('Invariant')
  return openStateFile(
    encodeStateFile({ mode: snapshot.mode, sections: snapshot.sections() }, { compress: false }),
  )
}

function restored(...files: StateFileReader[]): HeapBackend {
  const backend = heapBackend()
  for (const file of files) backend.restore(file, 'op')
  return backend
}

const entriesOf = (backend: HeapBackend, table = 't', namespace?: number) => [
  ...backend.table(table, namespace).entries(),
]
const filled = (count: number) => {
  const backend = heapBackend()
  for (let i = 0; i < count; i++) backend.table<number, unknown>('t').put(i, { n: i })
  return backend
}

describe('a table', () => {
  test('reads, writes and removes by key and by cell', () => {
    const table = heapBackend().table<string, number>('t')
    table.put('a', 1)
    const cell = table.cell('b')
    expect(table.read(cell)).toBeUndefined()
    expect(table.size).toBe(1)
    table.write(cell, 2)
    expect([...table.entries()]).toEqual([
      ['a', 1],
      ['b', 2],
    ])
    table.remove('a')
    table.remove('nobody')
    table.put('b', undefined as never)
    expect([table.size, table.get('a'), table.get('b')]).toEqual([0, undefined, undefined])
  })

  test('tells keys of equal text but other types apart, and knows structural keys by their content', () => {
    const table = heapBackend().table<unknown, number>('t')
    const keys = [1, '1', 1n, true, 'true', null, 'null', [1], ['1'], { a: 1 }, { a: '1' }]
    keys.forEach((key, i) => table.put(key, i))
    expect(keys.map((key) => table.get(structuredClone(key)))).toEqual(keys.map((_, i) => i))
    expect(table.size).toBe(keys.length)
    table.remove({ a: 1 })
    expect(table.get({ a: 1 })).toBeUndefined()
  })

  test('knows a key with a lone surrogate by what comes back from a checkpoint', () => {
    const backend = heapBackend()
    const table = backend.table<unknown, number>('t')
    table.put('cut \ud83d', 1)
    table.put({ text: '\ud83d' }, 2)
    for (const text of ['\ud83d', '\ufffd']) {
      expect([table.get(`cut ${text}`), table.get({ text })]).toEqual([1, 2])
      const copy = restored(write(backend.snapshot(1, 0))).table<unknown, number>('t')
      expect([copy.get(`cut ${text}`), copy.get({ text }), copy.size]).toEqual([1, 2, 2])
    }
    expect([...table.entries()]).toEqual([
      ['cut \ufffd', 1],
      [{ text: '\ufffd' }, 2],
    ])
    table.remove('cut \ud83e')
    table.remove({ text: '\ud83e' })
    expect([table.size, table.get('cut \ufffd')]).toEqual([0, undefined])
  })

  test('keeps a structural key as it was, whatever happens to the object', () => {
    const table = heapBackend().table<{ a: number }, number>('t')
    const key = { a: 1 }
    table.put(key, 5)
    key.a = 2
    expect([...table.entries()]).toEqual([[{ a: 1 }, 5]])
  })

  test('refuses a key of another subtask, which a key function that changes its mind would give', () => {
    const table = heapBackend({ from: 0, to: 1 }).table<number, number>('t')
    expect(() => table.put(1, 1)).toThrow(/the key 1 hashes to key group \d+, but this subtask owns \[0, 1\)/)
  })

  test('is void after its namespace was dropped', () => {
    const backend = heapBackend()
    const table = backend.table<string, number>('t', 5)
    table.put('a', 1)
    backend.dropNamespace('t', 5)
    expect(() => table.put('a', 1)).toThrow('namespace 5 was dropped')
    expect(backend.table('t', 5).size).toBe(0)
  })
})

describe('namespaces', () => {
  test('are listed ascending while they hold data', () => {
    const backend = heapBackend()
    for (const namespace of [20, -5, 3]) backend.table<string, number>('t', namespace).put('a', 1)
    backend.table('t', 7)
    backend.table<string, number>('t').put('a', 1)
    expect(backend.namespaces('t')).toEqual([-5, 3, 20])
    backend.dropNamespace('t', 3)
    expect(backend.namespaces('t')).toEqual([-5, 20])
    expect(backend.entryCount).toBe(3)
    expect(() => backend.table('t', Number.NaN)).toThrow('finite number')
  })
})

describe('snapshot()', () => {
  test('holds objects as at the freeze, though they are changed before their block is written', () => {
    const backend = filled(500)
    const table = backend.table<number, { n: number; tags?: string[] }>('t')
    const snapshot = backend.snapshot(1, 0)
    snapshot.step(0)
    for (let i = 0; i < 500; i++) {
      const value = table.get(i)!
      value.n = -1
      value.tags = ['changed']
      table.put(i, value)
      if (i % 50 === 0) snapshot.step(0)
    }
    expect(entriesOf(restored(write(snapshot))).sort((a, b) => (a[0] as number) - (b[0] as number))).toEqual(
      Array.from({ length: 500 }, (_, i) => [i, { n: i }]),
    )
    expect(table.get(7)).toEqual({ n: -1, tags: ['changed'] })
  })

  test('works in slices: one step reads the clock often and gives up at its budget', () => {
    const snapshot = filled(2000).snapshot(1, 0)
    let steps = 1
    while (!snapshot.step(3)) steps++
    expect(steps).toBeGreaterThan(20)
  })

  test('writes only what changed since the base', () => {
    const backend = filled(100)
    const table = backend.table<number, unknown>('t')
    const full = write(backend.snapshot(1, 0))
    table.put(1, 'changed')
    table.remove(2)
    table.put(200, 'new')
    const delta = write(backend.snapshot(2, 1))
    expect([full.mode, delta.mode]).toEqual(['full', 'delta'])
    expect(delta.index.reduce((sum, s) => sum + s.entryCount, 0)).toBe(3)
    expect(new Map(entriesOf(restored(full, delta)))).toEqual(new Map(entriesOf(backend)))
  })

  test('keeps an entry that was removed and made again between base and freeze', () => {
    const backend = filled(100)
    const table = backend.table<number, unknown>('t')
    const full = write(backend.snapshot(1, 0))
    table.remove(2)
    table.put(2, 'again')
    const delta = write(backend.snapshot(2, 1))
    expect(delta.mode).toBe('delta')
    expect(restored(full, delta).table('t').get(2)).toBe('again')
  })

  test('includes the changes of checkpoints between base and itself that came to nothing', () => {
    const backend = filled(100)
    const table = backend.table<number, unknown>('t')
    const full = write(backend.snapshot(1, 0))
    table.put(1, 'a')
    backend.snapshot(2, 1)
    table.put(2, 'b')
    const cancelled = backend.snapshot(3, 1)
    cancelled.step(0)
    cancelled.cancel()
    cancelled.cancel()
    table.put(3, 'c')
    write(backend.snapshot(4, 1))
    const delta = write(backend.snapshot(5, 1))
    const image = restored(full, delta).table('t')
    expect([delta.mode, image.get(1), image.get(2), image.get(3)]).toEqual(['delta', 'a', 'b', 'c'])
  })

  test('cancels the unfinished one before it', () => {
    const backend = filled(10)
    const first = backend.snapshot(1, 0)
    backend.snapshot(2, 0)
    expect(first.step(1000)).toBe(false)
    expect(() => first.sections()).toThrow('cancelled')
  })

  test('is full for a base it does not know, and once the deltas would outgrow the state', () => {
    const backend = filled(10)
    const modes: string[] = []
    const next = (id: number, base: number, changes: number) => {
      for (let i = 0; i < changes; i++) backend.table('t').put(i, id)
      const snapshot = backend.snapshot(id, base)
      modes.push(snapshot.mode)
      write(snapshot)
    }
    next(1, 0, 0)
    next(2, 99, 1)
    next(3, 2, 6)
    next(4, 3, 4)
    next(5, 4, 1)
    next(6, 5, 1)
    expect(modes).toEqual(['full', 'full', 'delta', 'delta', 'full', 'delta'])
  })

  test('says whether a delta holds anything', () => {
    const backend = filled(10)
    expect(backend.snapshot(1, 0).isEmpty).toBe(false)
    expect(backend.snapshot(2, 1).isEmpty).toBe(true)
    backend.table('t').put(1, 'a')
    expect(backend.snapshot(3, 2).isEmpty).toBe(false)
    backend.table('other', 5)
    backend.dropNamespace('other', 5)
    expect(backend.snapshot(4, 3).isEmpty).toBe(true)
  })

  test('forgets old changes rather than growing without bound while no checkpoint completes', () => {
    const backend = filled(10)
    write(backend.snapshot(1, 0))
    for (let id = 2; id < 200; id++) write(backend.snapshot(id, 1))
    expect(backend.snapshot(200, 1).mode).toBe('full')
  })

  test('names the table whose value cannot be encoded, and leaves the backend usable', () => {
    const backend = heapBackend()
    const bad = { s: 'kept' as unknown }
    backend.table<string, unknown>('state:bad').put('a', bad)
    bad.s = Symbol('s')
    const snapshot = backend.snapshot(1, 0)
    expect(() => {
      while (!snapshot.step(1)) continue
    }).toThrow(
      'Operator op failed: state "bad" cannot be written to a checkpoint. ' +
        'Cannot store or send a symbol at .s',
    )
    backend.table('state:bad').clear()
    expect(write(backend.snapshot(2, 0)).index).toEqual([])
  })
})

describe('restore()', () => {
  test('applies a dropped namespace only to the key groups of the subtask that dropped it', () => {
    const halves = [heapBackend({ from: 0, to: 64 }), heapBackend({ from: 64, to: 128 })]
    const put = (table: string, namespace?: number) => {
      for (let i = 0; i < 200; i++)
        for (const half of halves)
          try {
            half.table<number, number>(table, namespace).put(i, i)
          } catch {
            continue
          }
    }
    put('t', 7)
    put('rest')
    const fulls = halves.map((h) => write(h.snapshot(1, 0)))
    const kept = halves[0]!.table('t', 7).size
    halves[1]!.dropNamespace('t', 7)
    const deltas = halves.map((h) => write(h.snapshot(2, 1)))
    expect(deltas.map((d) => [d.mode, d.index.map((s) => s.kind)])).toEqual([
      ['delta', []],
      ['delta', ['drop']],
    ])
    const merged = restored(fulls[0]!, deltas[0]!, fulls[1]!, deltas[1]!)
    expect(merged.table('t', 7).size).toBe(kept)
    expect(merged.table('rest').size).toBe(200)
    expect(merged.entryCount).toBe(kept + 200)
  })

  test('takes only its own key groups and its own operator', () => {
    const file = write(filled(100).snapshot(1, 0))
    const half = heapBackend({ from: 0, to: 64 })
    half.restore(file, 'op')
    const other = heapBackend({ from: 64, to: 128 })
    other.restore(file, 'op')
    expect(half.entryCount + other.entryCount).toBe(100)
    expect(half.entryCount).toBeGreaterThan(20)
    const stranger = heapBackend()
    stranger.restore(file, 'somebody else')
    expect(stranger.entryCount).toBe(0)
  })

  test('tells, once, of new keys of a kind that no restored key has', () => {
    const file = write(filled(3).snapshot(1, 0))
    const told: string[] = []
    const backend = new HeapBackend({
      uid: 'op',
      keyGroups: ALL,
      maxParallelism: 128,
      monotonic: () => 0,
      onOtherKeys: (table, kind, kinds) => told.push(`${table}: ${kind}, not ${kinds.join()}`),
    })
    backend.restore(file, 'op')
    const table = backend.table<unknown, number>('t')
    table.put(99, 1)
    expect(told).toEqual([])
    table.put('1', 1)
    table.put('2', 1)
    backend.table<unknown, number>('new').put('1', 1)
    expect(told).toEqual(['t: string, not number'])
  })

  test('refuses state of another maxParallelism', () => {
    const file = write(filled(100).snapshot(1, 0))
    expect(() => heapBackend({ from: 0, to: 100 }, 100).restore(file, 'op')).toThrow(
      'maxParallelism has changed',
    )
  })

  test('is not a change: the first snapshot is full, later deltas hold only what came after', () => {
    const backend = restored(write(filled(100).snapshot(1, 0)))
    expect(backend.snapshot(2, 1).mode).toBe('full')
    write(backend.snapshot(3, 0))
    backend.table('t').put(1, 'x')
    expect(write(backend.snapshot(4, 3)).index.reduce((sum, s) => sum + s.entryCount, 0)).toBe(1)
  })
})
