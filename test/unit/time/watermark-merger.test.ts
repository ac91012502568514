import { MAX_WATERMARK } from '#runtime/element/receiver'
import { describe, expect, test } from 'vitest'
import { WatermarkMerger } from '#runtime/time/watermark-merger'

describe('WatermarkMerger', () => {
  test('is the least of all channels, and waits for the one that has none yet', () => {
    const merger = new WatermarkMerger(2)
    expect(merger.onWatermark(0, 10)).toBeUndefined()
    expect(merger.onWatermark(1, 7)).toBe(7)
    expect(merger.onWatermark(1, 20)).toBe(10)
    expect(merger.current).toBe(10)
  })

  test('I1 holds back what would not advance it', () => {
    const merger = new WatermarkMerger(2)
    merger.onWatermark(0, 10)
    merger.onWatermark(1, 10)
    expect(merger.onWatermark(0, 10)).toBeUndefined()
    expect(merger.onWatermark(0, 5)).toBeUndefined()
    expect(merger.onWatermark(1, 12)).toBeUndefined()
    expect(merger.onWatermark(0, 11)).toBe(11)
  })

  test('goes on without an idle channel, and does not go back when that wakes up behind', () => {
    const merger = new WatermarkMerger(2)
    merger.onWatermark(0, 100)
    expect(merger.onIdle(1)).toBe(100)
    expect(merger.onWatermark(1, 50)).toBeUndefined()
    expect(merger.onWatermark(0, 200)).toBeUndefined()
    expect(merger.onWatermark(1, 150)).toBe(150)
  })

  test('counts an idle channel again once it has records', () => {
    const merger = new WatermarkMerger(2)
    merger.onIdle(1)
    merger.onActive(1)
    expect(merger.onWatermark(0, 100)).toBeUndefined()
  })

  test.each([
    [0, 1],
    [1, 0],
  ])('I2 with all channels idle does not depend on which one fell idle first (%i)', (first, second) => {
    const merger = new WatermarkMerger(2)
    merger.onWatermark(0, 100)
    merger.onWatermark(1, 50)
    merger.onIdle(first)
    expect(merger.isIdle).toBe(false)
    merger.onIdle(second)
    expect(merger.isIdle).toBe(true)
    expect(merger.current).toBe(100)
  })

  test('I2 ended channels do not count; after the last end it is the end of time', () => {
    const merger = new WatermarkMerger(2)
    merger.onWatermark(0, 5)
    expect(merger.onEnd(1)).toBe(5)
    expect(merger.onEnd(0)).toBe(Infinity)
    expect(merger.isIdle).toBe(false)
  })

  test('a channel at its last watermark does not carry the idle ones to the end of time', () => {
    const merger = new WatermarkMerger(2)
    merger.onIdle(0)
    expect(merger.onWatermark(1, MAX_WATERMARK)).toBeUndefined()
    expect(merger.onEnd(1)).toBeUndefined()
    expect(merger.onWatermark(0, 5)).toBe(5)
    expect(merger.onWatermark(0, MAX_WATERMARK)).toBe(MAX_WATERMARK)
  })

  test('where an idle channel wakes up behind the others, the order between channels counts', () => {
    const [wokeLate, wokeEarly] = [new WatermarkMerger(2), new WatermarkMerger(2)]
    for (const merger of [wokeLate, wokeEarly]) merger.onIdle(0)
    wokeLate.onWatermark(1, 100)
    for (const merger of [wokeLate, wokeEarly]) merger.onWatermark(0, 50)
    wokeEarly.onWatermark(1, 100)
    expect([wokeLate.current, wokeEarly.current]).toEqual([100, 50])
  })
})
