import { describe, expect, test } from 'vitest'
import { counting } from '#runtime/state/aggregator'
import { WindowOperator } from '#runtime/operators/window'
import { sliding, tumbling, type SlidingWindows } from '#runtime/time/window'
import { keyGroupOf, subtaskOfKeyGroup } from '#runtime/element/key-group'
import { OperatorHarness, type HarnessOptions, type HarnessState } from '#runtime/testing/operator-harness'

const open = (
  windows: SlidingWindows,
  options: { allowedLatenessMs?: number; late?: (v: string) => string } = {},
  place: Partial<HarnessOptions<string, string>> = {},
  states: readonly HarnessState[] = [],
) =>
  OperatorHarness.open<string, string>(
    {
      uid: 'hits',
      create: () =>
        new WindowOperator<string, string, number, number, string>({
          keyOf: (word) => word,
          windows,
          allowedLatenessMs: options.allowedLatenessMs ?? 0,
          aggregator: counting,
          emit: (key, { start, end }, count) => `${key} [${start},${end}) ${count}`,
          late: options.late,
        }),
      ...place,
    },
    states,
  )

describe('WindowOperator', () => {
  test('a tumbling window fires when the watermark is at its end - 1, before it goes on', async () => {
    const harness = await open(tumbling(10))
    harness.send('a', 0)
    harness.send('a', 9)
    harness.send('a', 10)
    harness.watermark(8)
    expect(harness.output).toEqual([])
    harness.watermark(9)
    expect([harness.output, harness.watermarks]).toEqual([[{ value: 'a [0,10) 2', timestamp: 9 }], [8, 9]])
    harness.watermark(Infinity)
    expect(harness.values).toEqual(['a [0,10) 2', 'a [10,20) 1'])
  })

  test('windows that fire together come in the order of their ends', async () => {
    const harness = await open(sliding({ size: 4, slide: 2 }))
    for (const at of [5, 1, 3]) harness.send('a', at)
    harness.watermark(Infinity)
    expect(harness.values).toEqual(['a [-2,2) 1', 'a [0,4) 2', 'a [2,6) 2', 'a [4,8) 1'])
  })

  test('late records are dropped and counted', async () => {
    const harness = await open(tumbling(10))
    harness.watermark(9)
    harness.send('a', 9)
    expect([harness.values, harness.counters.lateDropped]).toEqual([[], 1])
  })

  test('late records go to the side output instead', async () => {
    const harness = await open(tumbling(10), { late: (word) => `late ${word}` })
    harness.watermark(9)
    harness.send('a', 9)
    expect([harness.output, harness.counters.lateDropped]).toEqual([[{ value: 'late a', timestamp: 9 }], 0])
  })

  test('within the allowed lateness a window fires again with each late record', async () => {
    const harness = await open(tumbling(10), { allowedLatenessMs: 5 })
    harness.send('a', 1)
    harness.watermark(9)
    harness.send('a', 2)
    harness.send('b', 3)
    harness.watermark(13)
    harness.send('a', 4)
    harness.watermark(14)
    harness.send('a', 5)
    expect(harness.values).toEqual(['a [0,10) 1', 'a [0,10) 2', 'b [0,10) 1', 'a [0,10) 3'])
    expect(harness.counters.lateDropped).toBe(1)
  })

  test('state is dropped with its last window', async () => {
    const harness = await open(sliding({ size: 4, slide: 2 }))
    const empty = await harness.snapshot(1)
    for (let at = 0; at < 100; at++) harness.send('a', at)
    harness.watermark(200)
    expect((await harness.snapshot(2)).file.length).toBeLessThan(empty.file.length + 32)
  })

  test('a record without a timestamp is refused with what to do', async () => {
    const harness = await open(tumbling(10))
    expect(() => harness.send('a')).toThrow(
      'Operator hits, subtask 0 failed: the window got a record without a timestamp. Call assignTimestamps',
    )
  })
})

describe('WindowOperator restored from a run whose event time had ended', () => {
  const drained = async (options = {}) => {
    const harness = await open(tumbling(10), options)
    harness.send('a', 5)
    harness.send('a', 15)
    harness.watermark(9)
    harness.watermark(Infinity)
    expect(harness.values).toEqual(['a [0,10) 1', 'a [10,20) 1'])
    return open(tumbling(10), options, { attempt: '1.2' }, [await harness.snapshot(1)])
  }

  test('counts new records, and what was late before the end stays late', async () => {
    const again = await drained()
    again.send('a', 6)
    again.send('a', 25)
    again.watermark(29)
    expect([again.values, again.counters.lateDropped]).toEqual([['a [20,30) 1'], 1])
  })

  test('a window that the end fired fires again with the records that come after it alone', async () => {
    const again = await drained()
    again.send('a', 16)
    again.watermark(19)
    expect(again.values).toEqual(['a [10,20) 1'])
  })

  test('fires nothing a second time where nothing more comes', async () => {
    for (const options of [{}, { allowedLatenessMs: 50 }]) {
      const again = await drained(options)
      again.watermark(Infinity)
      expect(again.values).toEqual([])
    }
  })
})

/**
 * Where idle inputs wake up, the merged watermark depends on the order between inputs, so two
 * subtasks may stand at different watermarks at one barrier.
 */
describe('WindowOperator restored from subtasks at different watermarks', () => {
  const keyOf = (subtask: number): string => {
    const keys = Array.from({ length: 50 }, (_, i) => `key-${i}`)
    return keys.find((key) => subtaskOfKeyGroup(keyGroupOf(key, 128), 2, 128) === subtask) as string
  }
  const [ahead, behind] = [keyOf(0), keyOf(1)]
  /** Each has counted one record in [60, 70); only the first has fired it. */
  const states = async (): Promise<HarnessState[]> => {
    const subtasks = [0, 1].map((subtask) => open(tumbling(10), {}, { subtask, parallelism: 2 }))
    const [a, b] = (await Promise.all(subtasks)) as [OperatorHarness, OperatorHarness]
    a.send(ahead, 65)
    b.send(behind, 65)
    a.watermark(100)
    b.watermark(50)
    expect([a.values, b.values]).toEqual([[`${ahead} [60,70) 1`], []])
    return Promise.all([a, b].map((harness) => harness.snapshot(1)))
  }

  test('at the same parallelism no window fires a second time, and what was late is late', async () => {
    const place = { subtask: 0, parallelism: 2, attempt: '1.2' }
    const again = await open(tumbling(10), {}, place, await states())
    again.send(ahead, 66)
    again.watermark(100)
    expect([again.values, again.counters.lateDropped]).toEqual([[], 1])
  })

  test('at another parallelism each key has the time of its old subtask', async () => {
    const again = await open(tumbling(10), {}, { attempt: '1.2' }, await states())
    for (const key of [ahead, behind]) again.send(key, 66)
    again.watermark(69)
    expect([again.values, again.counters.lateDropped]).toEqual([[`${behind} [60,70) 2`], 1])
    for (const key of [ahead, behind]) again.send(key, 105)
    again.watermark(109)
    expect(again.values.slice(1).sort()).toEqual([ahead, behind].map((key) => `${key} [100,110) 1`).sort())
  })

  test('late records correct only windows that have fired for their key', async () => {
    const again = await open(tumbling(10), { allowedLatenessMs: 50 }, { attempt: '1.2' }, await states())
    for (const key of [ahead, behind]) again.send(key, 66)
    // The pane of the first was dropped where nothing was allowed to be late.
    expect(again.values).toEqual([`${ahead} [60,70) 1`])
    again.watermark(69)
    expect(again.values.slice(1)).toEqual([`${behind} [60,70) 2`])
  })
})
