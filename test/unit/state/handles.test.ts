import { describe, expect, expectTypeOf, test } from 'vitest'
import {
  aggregatingState,
  listState,
  mapState,
  reducingState,
  valueState,
  type StateDescriptors,
} from '#runtime/state/descriptors'
import {
  bindState,
  type AggregatingState,
  type ListState,
  type MapState,
  type ReducingState,
  type ValueState,
} from '#runtime/state/handles'
import { HeapBackend } from '#runtime/state/heap-backend'
import { KeyedContext } from '#runtime/state/keyed-context'
import { encodeStateFile, openStateFile } from '#runtime/state/snapshot-format'

const heapBackend = () =>
  new HeapBackend({ uid: 'op', keyGroups: { from: 0, to: 128 }, maxParallelism: 128, monotonic: () => 0 })

function bind<D extends StateDescriptors>(descriptors: D, backend = heapBackend()) {
  const context = new KeyedContext<string>()
  const clock = { now: 0 }
  context.setKey('a')
  return { state: bindState(descriptors, backend, context, () => clock.now), context, clock, backend }
}

function copyOf(backend: HeapBackend): HeapBackend {
  const snapshot = backend.snapshot(1, 0)
  while (!snapshot.step(1)) continue
  const copy = heapBackend()
  copy.restore(
    openStateFile(encodeStateFile({ mode: 'full', sections: snapshot.sections() }, { compress: false })),
    'op',
  )
  return copy
}

const average = {
  create: () => ({ sum: 0, n: 0 }),
  add: (a: { sum: number; n: number }, value: number) => {
    a.sum += value
    a.n++
    return a
  },
  result: (a: { sum: number; n: number }) => a.sum / a.n,
}
const all = {
  last: valueState<string>(),
  count: valueState(0),
  nothing: valueState<string | null>('default'),
  recent: listState<number>(),
  byName: mapState<string, number>(),
  longest: reducingState((a: string, b: string) => (b.length > a.length ? b : a)),
  average: aggregatingState(average),
}

describe('state handles', () => {
  test('have exact types', () => {
    const { state } = bind(all)
    expectTypeOf(state.last).toEqualTypeOf<ValueState<string>>()
    expectTypeOf(state.last.get()).toEqualTypeOf<string | undefined>()
    expectTypeOf(state.count.get()).toEqualTypeOf<number>()
    expectTypeOf(state.recent).toEqualTypeOf<ListState<number>>()
    expectTypeOf(state.byName).toEqualTypeOf<MapState<string, number>>()
    expectTypeOf(state.longest).toEqualTypeOf<ReducingState<string>>()
    expectTypeOf(state.average).toEqualTypeOf<AggregatingState<number, number>>()
    expectTypeOf(listState({} as { __type?: Date })).toEqualTypeOf(listState<Date>())
  })

  test('are empty for a new key and keep keys apart', () => {
    const { state, context } = bind(all)
    state.last.set('x')
    state.count.set(5)
    state.recent.addAll([1, 2])
    state.byName.put('n', 1)
    state.longest.add('word')
    state.average.add(4)
    context.setKey('b')
    expect([state.last.get(), state.count.get(), state.recent.get(), state.byName.size]).toEqual([
      undefined,
      0,
      [],
      0,
    ])
    expect([state.longest.get(), state.average.get(), state.byName.get('n'), state.byName.has('n')]).toEqual([
      undefined,
      undefined,
      undefined,
      false,
    ])
  })

  test('survive a snapshot and are then gone after clear', () => {
    const first = bind(all)
    first.state.last.set('x')
    first.state.nothing.set(null)
    first.state.recent.addAll([1, 2])
    first.state.recent.add(3)
    first.state.byName.put('n', 1)
    first.state.byName.put('m', 2)
    first.state.byName.remove('n')
    first.state.longest.add('a')
    first.state.longest.add('word')
    first.state.longest.add('b')
    first.state.average.add(4)
    first.state.average.add(6)
    const { state, backend } = bind(all, copyOf(first.backend))
    expect([state.last.get(), state.nothing.get(), state.recent.get(), [...state.byName.entries()]]).toEqual([
      'x',
      null,
      [1, 2, 3],
      [['m', 2]],
    ])
    expect([state.longest.get(), state.average.get()]).toEqual(['word', 5])
    for (const handle of Object.values(state)) handle.clear()
    expect(backend.entryCount).toBe(0)
  })

  test('do not share a default that is an object', () => {
    const { state } = bind({ tags: valueState<string[]>([]) })
    state.tags.get().push('lost')
    expect(state.tags.get()).toEqual([])
  })

  test('a map knows a key with a lone surrogate by what comes back from a checkpoint', () => {
    const first = bind(all)
    first.state.byName.put('\ud83d', 1)
    first.state.byName.put('\ufffd', 2)
    for (const { state } of [first, bind(all, copyOf(first.backend))]) {
      expect([...state.byName.entries()]).toEqual([['\ufffd', 2]])
      expect([state.byName.get('\ud83d'), state.byName.has('\ud83e')]).toEqual([2, true])
      state.byName.remove('\ud83d')
      expect(state.byName.size).toBe(0)
    }
  })

  test('a map without entries takes no space', () => {
    const { state, backend } = bind(all)
    state.byName.put('n', 1)
    state.byName.remove('n')
    state.byName.remove('n')
    expect(backend.entryCount).toBe(0)
  })
})

describe('ttl', () => {
  test('hides and removes state that was not written for so long', () => {
    const { state, clock, backend } = bind({ recent: listState<number>({ ttl: '24h' }) })
    state.recent.add(1)
    clock.now = 86_399_999
    expect(state.recent.get()).toEqual([1])
    state.recent.add(2)
    clock.now = 2 * 86_399_999
    expect(state.recent.get()).toEqual([1, 2])
    clock.now++
    expect(state.recent.get()).toEqual([])
    expect(backend.entryCount).toBe(0)
  })

  test('removes expired state of keys that never come again, along with writes of others', () => {
    const { state, clock, backend, context } = bind({ last: valueState<number>(undefined, { ttl: '1s' }) })
    for (let i = 0; i < 100; i++) {
      context.setKey(`old ${i}`)
      state.last.set(i)
    }
    clock.now = 5_000
    for (let i = 0; i < 100; i++) {
      context.setKey('new')
      state.last.set(i)
    }
    expect(backend.entryCount).toBe(2)
  })

  test('can be added to state that has none, and taken away', () => {
    const plain = bind({ last: valueState<number>() })
    plain.state.last.set(1)
    const expiring = bind({ last: valueState<number>(undefined, { ttl: '1s' }) }, copyOf(plain.backend))
    expiring.clock.now = 1e6
    expect(expiring.state.last.get()).toBe(1)
    expiring.state.last.set(2)
    expect(bind({ last: valueState<number>() }, copyOf(expiring.backend)).state.last.get()).toBe(2)
  })

  test('must be a duration', () => {
    // @ts-expect-error the compiler says so too
    expect(() => listState({ ttl: 'a day' })).toThrow('Not a duration')
  })
})
