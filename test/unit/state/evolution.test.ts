import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { listState, mapState, reducingState, valueState } from '#runtime/index'
import { harness } from '#runtime/testing/index'
import type { StateDescriptors } from '#runtime/state/descriptors'
import { HeapBackend } from '#runtime/state/heap-backend'
import { evolutionOf, evolve } from '#runtime/state/evolution'

interface Sale {
  readonly shop: string
  readonly cents: number
}
const key = (sale: Sale) => sale.shop
const sale = (shop: string, cents: number): Sale => ({ shop, cents })

/** What is stored for shop a by `before`, read by `after`. */
async function upgraded<D extends StateDescriptors>(
  before: StateDescriptors,
  write: (state: any) => void,
  after: D,
) {
  const step = await harness<string, Sale, never, StateDescriptors>(
    { state: before, onRecord: (_, { state }) => write(state) },
    { key },
  )
  step.send(sale('a', 5))
  const next = await step.upgradeTo<never, D>({ state: after, onRecord: () => undefined }, { key })
  return next.state('a')
}

describe('state of an earlier version', () => {
  test('is migrated when it is restored, with the version that it had', async () => {
    const total = valueState(
      { cents: 0, sales: 0 },
      {
        version: 3,
        migrate: (old, version) => ({ cents: Number(old), sales: version }),
      },
    )
    expect(await upgraded({ total: valueState(0) }, ({ total }) => total.set(7), { total })).toEqual({
      total: { cents: 7, sales: 1 },
    })
  })

  test('is migrated under a new name too', async () => {
    const sum = valueState('', { formerly: ['total'], version: 2, migrate: (old) => String(old) })
    expect(await upgraded({ total: valueState(0) }, ({ total }) => total.set(7), { sum })).toEqual({
      sum: '7',
    })
  })

  test('is migrated item by item in a list, value by value in a map', async () => {
    const migrate = (old: unknown) => Number(old) * 100
    const write = ({ list, map, best }: any) => {
      list.addAll([1, 2])
      map.put('x', 3)
      best.add(4)
    }
    const before = {
      list: listState<number>(),
      map: mapState<string, number>(),
      best: reducingState<number>(Math.max),
    }
    const after = {
      list: listState<number>({ version: 2, migrate }),
      map: mapState<string, number>({ version: 2, migrate }),
      best: reducingState<number>(Math.max, { version: 2, migrate }),
    }
    expect(await upgraded(before, write, after)).toEqual({
      list: [100, 200],
      map: new Map([['x', 300]]),
      best: 400,
    })
  })

  test('is stored as the new version: it is migrated once', async () => {
    const twice = { version: 2, migrate: (old: unknown) => Number(old) * 2 }
    const step = await harness(
      {
        state: { n: valueState(0) },
        onRecord: (s: Sale, { state }) => state.n.set(s.cents),
      },
      { key },
    )
    step.send(sale('a', 5))
    const next = await step.upgradeTo(
      { state: { n: valueState(0, twice) }, onRecord: () => undefined },
      { key },
    )
    await next.snapshotAndRestore()
    await next.snapshotAndRestore()
    expect(next.state('a')).toEqual({ n: 10 })
  })

  test('keeps its time of expiry', async () => {
    const state = { n: valueState(0, { ttl: '1h' }) }
    const step = await harness({ state, onRecord: (s: Sale, c) => c.state.n.set(s.cents) }, { key })
    step.send(sale('a', 5))
    step.advance(1_800_000)
    const more = { n: valueState(0, { ttl: '1h', version: 2, migrate: (old) => Number(old) + 1 }) }
    const next = await step.upgradeTo({ state: more, onRecord: () => undefined }, { key })
    expect(next.state('a')).toEqual({ n: 6 })
    next.advance(1_900_000)
    expect(next.state('a')).toEqual({ n: 0 })
  })
})

describe('state with a schema', () => {
  const before = { total: valueState<object>({}) }
  const write = ({ total }: any) => total.set({ cents: 7 })

  test('gets the defaults of what is new', async () => {
    const schema = z.object({ cents: z.number(), currency: z.string().default('EUR') })
    const total = valueState({ cents: 0, currency: '' }, { schema })
    expect(await upgraded(before, write, { total })).toEqual({ total: { cents: 7, currency: 'EUR' } })
  })

  test('is not restored where a value does not fit, and it is said which and why', async () => {
    const schema = z.object({ cents: z.string() })
    const total = valueState({ cents: '' }, { schema })
    const refused = upgraded(before, write, { total })
    await expect(refused).rejects.toThrow(
      /^state "total", key "a": its schema refuses the stored \{"cents":7\}: \.cents: .*string/,
    )
    await expect(upgraded(before, write, { total })).rejects.toThrow(
      'Give what is new a default in the schema, or raise version and write migrate.',
    )
  })
})

describe('migrate', () => {
  const evolved = (migrate: (old: unknown) => unknown, stored: unknown = 1) => {
    const options = { keyGroups: { from: 0, to: 128 }, maxParallelism: 128, monotonic: () => 0 }
    const backend = new HeapBackend({ uid: 'step', ...options })
    backend.table('t').put('k', stored)
    evolve(
      backend,
      { name: 'n', version: 1 },
      { table: 't', evolution: evolutionOf({ version: 2, migrate }) },
    )
    return backend.table('t').get('k')
  }

  test.each<[string, (old: unknown) => unknown, string]>([
    ['throws', () => JSON.parse('{'), 'state "n", key "k": Expected property name'],
    ['is async', async () => 1, 'migrate returned a promise'],
    ['returns nothing', () => undefined, 'migrate returned undefined for 1 of version 1: expected a value.'],
    ['returns what is not data', () => () => 1, 'migrate returned a function'],
  ])('that %s is refused with state and key, and not tried again', (_, migrate, message) => {
    const run = () => evolved(migrate)
    expect(run).toThrow(message)
    expect(run).toThrow(expect.objectContaining({ code: 'USR_FAILED', retry: 'never' }))
  })

  test('that throws is told with its own line', () => {
    const migrate = () => {
      throw new TypeError('no such thing')
    }
    expect(() => evolved(migrate)).toThrow(
      expect.objectContaining({ stack: expect.stringContaining('TypeError: no such thing') }),
    )
  })

  test.each<[string, object, string]>([
    ['a version that is no number', { version: '2' }, 'whole number of at least 1, not "2"'],
    ['version 0', { version: 0 }, 'whole number of at least 1, not 0'],
    ['a version without migrate', { version: 2 }, 'Version 2 of a state has no migrate'],
    ['migrate without a version', { migrate: () => 1 }, 'has no version above 1. Give it version: 2'],
    ['migrate that is no function', { version: 2, migrate: 1 }, 'migrate of a state is 1, not a function'],
    ['a schema that is none', { schema: { type: 'object' } }, 'schema of a state is {"type":"object"}'],
    ['a misspelt option', { tll: '1h' }, 'valueState has no option "tll". Expected: ttl, formerly, version'],
  ])('is refused where the state is declared: %s', (_, options, message) => {
    expect(() => valueState(0, options as never)).toThrow(message)
  })
})
