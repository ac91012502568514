/** What the compiler refuses of a job, and what it must go on to infer. Checked by tsc. */
import { describe, expectTypeOf, test } from 'vitest'
import {
  aggregatingState,
  blackhole,
  boundedOutOfOrder,
  defineJob,
  generator,
  listState,
  mapState,
  reducingState,
  sliding,
  tumbling,
  type,
  valueState,
  type DataStream,
  type Duration,
  type KeyedStream,
  type ValueState,
  type Window,
} from '#runtime/index'

interface Place {
  readonly x: number
  readonly y?: number
}
interface Order {
  readonly id: number
  readonly shop: string
  readonly note?: string
  readonly place: Place
}
class Meter {
  n = 0
  add(): this {
    this.n++
    return this
  }
}
type Json = string | number | null | Json[] | { [name: string]: Json }

const later = async <V>(value: V): Promise<V> => value

describe('types of a job', () => {
  test('refuse promises', () => {
    defineJob(({ env }) => {
      // @ts-expect-error a record is no promise
      env.source('later', generator({ make: async (n) => n }))
      const orders = env.source('orders', generator({ make: (id): Order => order(id) }))
      expectTypeOf(orders).toEqualTypeOf<DataStream<Order>>()
      // @ts-expect-error of map
      orders.map(async ({ id }) => id)
      // @ts-expect-error of map with a uid
      orders.map('ids', ({ id }) => later(id))
      // @ts-expect-error of filter
      orders.filter(async ({ id }) => id > 3)
      // @ts-expect-error of flatMap
      orders.flatMap(async ({ id }) => [id])
      // @ts-expect-error inside of what flatMap gives
      orders.flatMap(({ id }) => [later(id)])
      // @ts-expect-error of keyBy
      orders.keyBy(async ({ shop }) => shop)
      // @ts-expect-error of assignTimestamps
      orders.assignTimestamps(async ({ id }) => id, boundedOutOfOrder('1s'))
      const keyed = orders.keyBy(({ shop }) => shop)
      // @ts-expect-error of reduce
      keyed.reduce('reduce', async (a) => a)
      // @ts-expect-error of sum
      keyed.sum('sum', async ({ id }) => id)
      // @ts-expect-error of add
      keyed.aggregate('add', { create: () => 0, add: async (n) => n, result: (n) => n })
      // @ts-expect-error of result
      keyed.aggregate('result', { create: () => 0, add: (n) => n, result: later })
      // @ts-expect-error of merge
      keyed.window('window', tumbling('1m')).aggregate({ ...adding, merge: async (a: number) => a })
      // @ts-expect-error of onRecord
      keyed.process('process', { onRecord: async () => undefined })
      // @ts-expect-error of the reduction of a state
      reducingState<number>(async (a) => a)
    })
  })

  test('refuse what cannot be a key', () => {
    defineJob(({ env }) => {
      const orders = env.source('orders', generator({ make: (id): Order => order(id) }))
      expectTypeOf(orders.keyBy(({ id }) => id)).toEqualTypeOf<KeyedStream<number, Order>>()
      // @ts-expect-error a Date: its getTime() can
      orders.keyBy(({ id }) => new Date(id))
      // @ts-expect-error undefined: say what stands for it
      orders.keyBy(({ note }) => note)
      // @ts-expect-error a Map inside
      orders.keyBy(() => ({ parts: new Map<string, number>() }))
      // @ts-expect-error a symbol
      orders.keyBy(() => Symbol('key'))
      // @ts-expect-error a function
      orders.keyBy(() => () => 1)
      // @ts-expect-error a class with methods
      orders.keyBy(() => new Meter())
      // @ts-expect-error bytes
      orders.keyBy(() => new Uint8Array(4))
      // @ts-expect-error anything
      orders.keyBy(({ note }): unknown => note)
    })
  })

  test('refuse what state cannot hold', () => {
    defineJob(({ env }) => {
      const keyed = env
        .source('orders', generator({ make: (id): Order => order(id) }))
        .keyBy(({ shop }) => shop)
      const onRecord = () => undefined
      expectTypeOf(keyed).toEqualTypeOf<KeyedStream<string, Order>>()
      // @ts-expect-error a function
      keyed.process('a', { state: { f: valueState<() => void>() }, onRecord })
      // @ts-expect-error a function or nothing
      keyed.process('b', { state: { f: valueState<(() => number) | undefined>() }, onRecord })
      // @ts-expect-error a function inside
      keyed.process('c', { state: { f: valueState<{ a: { f: () => void } }>() }, onRecord })
      // @ts-expect-error a class with methods
      keyed.process('d', { state: { meter: valueState<Meter>() }, onRecord })
      // @ts-expect-error its default too
      keyed.process('e', { state: { meter: valueState(new Meter()) }, onRecord })
      // @ts-expect-error a promise
      keyed.process('f', { state: { list: listState<Promise<number>>() }, onRecord })
      // @ts-expect-error functions in a map
      keyed.process('g', { state: { map: mapState<string, () => void>() }, onRecord })
      // @ts-expect-error weak references
      keyed.process('h', { state: { weak: valueState<WeakMap<object, string>>() }, onRecord })
      // @ts-expect-error a symbol
      keyed.process('i', { state: { symbol: valueState<symbol>() }, onRecord })
      const meters = { create: () => new Meter(), add: (meter: Meter) => meter.add(), result: () => 1 }
      // @ts-expect-error an accumulator with methods
      keyed.process('j', { state: { meter: aggregatingState(meters) }, onRecord })
    })
  })

  test('refuse what is not a duration', () => {
    defineJob(() => {
      expectTypeOf<'1h30m'>().toExtend<Duration>()
      // @ts-expect-error seconds are s
      tumbling('10 sec')
      // @ts-expect-error a number without a unit
      tumbling('10')
      // @ts-expect-error no day
      sliding({ size: '1d', slide: '1h' })
      // @ts-expect-error words
      boundedOutOfOrder('ten')
      // @ts-expect-error a number
      boundedOutOfOrder(5)
      // @ts-expect-error idleAfter
      boundedOutOfOrder('1s', { idleAfter: 'a minute' })
      // @ts-expect-error ttl
      valueState(0, { ttl: '1 day' })
      // @ts-expect-error also of a list
      listState<number>({ ttl: 60 })
      const minutes = 3
      tumbling(`${minutes}m`)
      sliding({ size: '1h30m', slide: '10m' })
      boundedOutOfOrder('500ms')
    })
  })

  test('know nothing of what a process step emits until it is said', () => {
    defineJob(({ env }) => {
      const keyed = env
        .source('orders', generator({ make: (id): Order => order(id) }))
        .keyBy(({ shop }) => shop)
      const emitted = keyed.process('process', { onRecord: (value, { out }) => out({ value }) })
      expectTypeOf(emitted).toEqualTypeOf<DataStream<unknown>>()
      // @ts-expect-error nothing is known of it
      emitted.map(({ value }) => value)
      emitted.sink('out', blackhole())
      // @ts-expect-error another type than it says
      keyed.process('b', { emits: type<string>(), onRecord: (_, { out }) => out(5) })
    })
  })

  test('infer what they can', () => {
    defineJob(({ env }) => {
      const orders = env.source('orders', generator({ make: (id): Order => order(id) }))
      expectTypeOf(orders.map(({ id }) => ({ id, list: [id] }))).toEqualTypeOf<
        DataStream<{ id: number; list: number[] }>
      >()
      expectTypeOf(orders.map(() => 'a')).toEqualTypeOf<DataStream<string>>()
      expectTypeOf(orders.map(({ note }) => note)).toEqualTypeOf<DataStream<string | undefined>>()
      expectTypeOf(orders.map((value): unknown => value)).toEqualTypeOf<DataStream<unknown>>()
      expectTypeOf(orders.flatMap(({ id, shop }) => [id, shop])).toEqualTypeOf<DataStream<string | number>>()
      expectTypeOf(
        orders.flatMap(function* ({ id }) {
          yield id
        }),
      ).toEqualTypeOf<DataStream<number>>()
      expectTypeOf(orders.keyBy(() => 'all')).toEqualTypeOf<KeyedStream<string, Order>>()
      expectTypeOf(orders.keyBy(({ id }) => BigInt(id))).toEqualTypeOf<KeyedStream<bigint, Order>>()
      expectTypeOf(orders.keyBy(({ note }) => note ?? null)).toEqualTypeOf<
        KeyedStream<string | null, Order>
      >()
      expectTypeOf(orders.keyBy(({ place }) => place)).toEqualTypeOf<KeyedStream<Place, Order>>()
      expectTypeOf(orders.keyBy(({ shop, id }) => [shop, id] as const)).toEqualTypeOf<
        KeyedStream<readonly [string, number], Order>
      >()
      const keyed = orders.keyBy(({ shop, id }) => ({ shop, id }))
      expectTypeOf(keyed).toEqualTypeOf<KeyedStream<{ shop: string; id: number }, Order>>()
      expectTypeOf(
        keyed.aggregate('mean', {
          create: () => ({ n: 0, sum: 0 }),
          add: ({ n, sum }, { id }) => ({ n: n + 1, sum: sum + id }),
          result: ({ n, sum }) => sum / n,
        }),
      ).toEqualTypeOf<DataStream<{ key: { shop: string; id: number }; value: number }>>()
      expectTypeOf(keyed.window('window', tumbling('1m')).aggregate(adding)).toEqualTypeOf<
        DataStream<{ key: { shop: string; id: number }; window: Window } & { value: string }>
      >()
      keyed.process('states', {
        state: {
          n: valueState(0),
          json: valueState<Json>(),
          any: valueState<any>(),
          optional: valueState<{ a?: number | undefined; at: Date } | undefined>(),
          map: valueState(new Map<string, number>()),
          list: listState(type<Order>()),
          byShop: mapState<string, Place>(),
          sum: reducingState((a: number, b: number) => a + b),
        },
        onRecord(_, { state }) {
          expectTypeOf(state.n).toEqualTypeOf<ValueState<number, number>>()
          expectTypeOf(state.list.get()).toEqualTypeOf<readonly Order[]>()
          expectTypeOf(state.byShop.get('a')).toEqualTypeOf<Place | undefined>()
          expectTypeOf(state.sum.get()).toEqualTypeOf<number | undefined>()
        },
      })
    })
  })
})

const order = (id: number): Order => ({ id, shop: 'a', place: { x: id } })
const adding = {
  create: () => 0,
  add: (sum: number, { id }: Order) => sum + id,
  merge: (a: number, b: number) => a + b,
  result: (sum: number) => String(sum),
}
