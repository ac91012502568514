import { describe, expectTypeOf, test } from 'vitest'
import * as z from 'zod'
import {
  collect,
  defineJob,
  files,
  generator,
  sideOutput,
  tumbling,
  type,
  valueState,
  type DataStream,
  type Window,
} from '#runtime/index'

interface Hit {
  readonly page: string
  readonly ms: number
}

describe('types of the public interface', () => {
  test('records, keys and results are known from source to sink', () => {
    defineJob({ args: z.object({ n: z.number().default(3) }) }, ({ env, args }) => {
      expectTypeOf(args.n).toEqualTypeOf<number>()
      const hits = env.source(
        'hits',
        generator({ count: args.n, make: (n): Hit => ({ page: `/${n}`, ms: n }) }),
      )
      expectTypeOf(hits).toEqualTypeOf<DataStream<Hit>>()
      const keyed = hits.keyBy((hit) => hit.page)
      expectTypeOf(keyed.count('count')).toEqualTypeOf<DataStream<{ key: string; count: number }>>()
      expectTypeOf(keyed.sum('sum', (hit) => hit.ms)).toEqualTypeOf<
        DataStream<{ key: string; sum: number }>
      >()
      expectTypeOf(keyed.reduce('reduce', (a) => a)).toEqualTypeOf<DataStream<Hit>>()
      const late = sideOutput<Hit>('late')
      const windowed = keyed.window('window', tumbling('1m'), { lateTo: late }).count()
      expectTypeOf(windowed.getSideOutput(late)).toEqualTypeOf<DataStream<Hit>>()
      windowed.map((result) => {
        expectTypeOf(result.key).toEqualTypeOf<string>()
        expectTypeOf(result.window).toEqualTypeOf<Window>()
        expectTypeOf(result.count).toEqualTypeOf<number>()
      })
      const processed = keyed.process('process', {
        emits: type<Date>(),
        state: { last: valueState<number>() },
        onRecord(hit, { state, key, out }) {
          expectTypeOf(hit).toEqualTypeOf<Hit>()
          expectTypeOf(key).toEqualTypeOf<string>()
          expectTypeOf(state.last.get()).toEqualTypeOf<number | undefined>()
          expectTypeOf(out).parameter(0).toEqualTypeOf<Date>()
        },
      })
      expectTypeOf(processed).toEqualTypeOf<DataStream<Date>>()
      const strings = hits.map((hit) => hit.page).filter((page): page is '/a' | '/b' => page === '/a')
      expectTypeOf(strings).toEqualTypeOf<DataStream<'/a' | '/b'>>()
      // @ts-expect-error a sink takes the records of its stream
      strings.sink('numbers', collect<number>([]))
      keyed.process('async', {
        // @ts-expect-error a promise is not waited for
        async onRecord(hit, { out }) {
          await Promise.resolve()
          out(hit)
        },
        // @ts-expect-error nor here
        onTimer: async () => undefined,
      })
      keyed.process('sync', { onRecord: (_, { timers }) => timers.setEventTimer(1) })
      // @ts-expect-error a stateful step has a uid
      keyed.count()
      strings.sink('out', files.jsonl('out/'))
      expectTypeOf(env.source('again', files.jsonl<Hit>('in/'))).toEqualTypeOf<DataStream<Hit>>()
    })
  })
})
