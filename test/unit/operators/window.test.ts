import { describe, expect, test } from 'vitest'
import { counting } from '#runtime/state/aggregator'
import { WindowOperator } from '#runtime/operators/window'
import { sliding, tumbling, type SlidingWindows } from '#runtime/time/window'
import { OperatorHarness } from '#runtime/testing/operator-harness'

const open = (
  windows: SlidingWindows,
  options: { allowedLatenessMs?: number; late?: (v: string) => string } = {},
) =>
  OperatorHarness.open({
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
  })

describe('WindowOperator', () => {
  test('a tumbling window fires when the watermark reaches its end - 1, before the watermark goes on', async () => {
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
      'Window "hits" got a record without a timestamp. Call assignTimestamps',
    )
  })
})
