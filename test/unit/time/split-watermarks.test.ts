import { describe, expect, test } from 'vitest'
import { SplitWatermarks } from '#runtime/time/split-watermarks'
import { boundedOutOfOrder, monotonous } from '#runtime/time/watermark-strategy'

const reading = (watermarks: SplitWatermarks, split: number, timestamp: number) => {
  watermarks.onSplit(split, 'current')
  watermarks.current.onTimestamp(timestamp)
}

describe('the watermark of splits', () => {
  test('is that of the records where a source says nothing of its splits', () => {
    const watermarks = new SplitWatermarks(boundedOutOfOrder('5s'))
    expect(watermarks.watermark(0)).toBe(-Infinity)
    watermarks.current.onTimestamp(10_000)
    expect(watermarks.watermark(0)).toBe(4_999)
  })

  test('does not begin before the last split that is there is being read', () => {
    const watermarks = new SplitWatermarks(monotonous())
    for (const split of [1, 2]) watermarks.onSplit(split, 'added')
    reading(watermarks, 1, 100)
    expect(watermarks.watermark(0)).toBe(-Infinity)
    watermarks.onSplit(1, 'ended')
    expect(watermarks.watermark(0)).toBe(-Infinity)
    reading(watermarks, 2, 50)
    expect(watermarks.watermark(0)).toBe(49)
    reading(watermarks, 2, 70)
    expect(watermarks.watermark(0)).toBe(69)
  })

  test('is the least of the splits that are read by turns', () => {
    const watermarks = new SplitWatermarks(monotonous())
    for (const split of [1, 2]) watermarks.onSplit(split, 'added')
    reading(watermarks, 1, 100)
    reading(watermarks, 2, 50)
    reading(watermarks, 1, 200)
    expect(watermarks.watermark(0)).toBe(49)
  })

  test('is the greatest that any has come to where none is left', () => {
    const watermarks = new SplitWatermarks(monotonous())
    for (const split of [1, 2]) watermarks.onSplit(split, 'added')
    reading(watermarks, 1, 100)
    watermarks.onSplit(1, 'ended')
    reading(watermarks, 2, 50)
    watermarks.onSplit(2, 'ended')
    expect(watermarks.watermark(0)).toBe(99)
  })

  test('leaves out a split without records for idleAfter, but none that waits to be read', () => {
    const watermarks = new SplitWatermarks(monotonous({ idleAfter: '1m' }))
    for (const split of [1, 2, 3]) watermarks.onSplit(split, 'added')
    reading(watermarks, 1, 100)
    reading(watermarks, 2, 50)
    const ask = (at: number) => [watermarks.watermark(at), watermarks.isIdle(at)]
    ask(0)
    expect(ask(200_000)).toEqual([-Infinity, false])
    watermarks.onSplit(3, 'ended')
    expect(ask(200_000)).toEqual([49, false])
    reading(watermarks, 1, 200)
    ask(230_000)
    expect(ask(260_000)).toEqual([199, false])
    expect(ask(290_000)).toEqual([199, true])
  })
})
