import { describe, expect, test } from 'vitest'
import { boundedOutOfOrder, monotonous, WatermarkGenerator } from '#runtime/time/watermark-strategy'

describe('WatermarkGenerator', () => {
  test('stays the bound behind the newest record and never goes back', () => {
    const generator = new WatermarkGenerator(boundedOutOfOrder('5s'))
    expect(generator.watermark).toBe(-Infinity)
    generator.onTimestamp(10_000)
    expect(generator.watermark).toBe(4_999)
    generator.onTimestamp(7_000)
    generator.onTimestamp(Number.NaN)
    generator.onTimestamp(Infinity)
    generator.onTimestamp(-Infinity)
    expect(generator.watermark).toBe(4_999)
  })

  test('of monotonous timestamps lets equal ones come', () => {
    const generator = new WatermarkGenerator(monotonous())
    generator.onTimestamp(10)
    expect(generator.watermark).toBe(9)
  })

  test('is idle after idleAfter without a record, and no longer with the next', () => {
    const generator = new WatermarkGenerator(boundedOutOfOrder('5s', { idleAfter: '1m' }))
    expect(generator.isIdle(1_000)).toBe(false)
    expect(generator.isIdle(60_999)).toBe(false)
    expect(generator.isIdle(61_000)).toBe(true)
    generator.onTimestamp(1)
    expect(generator.isIdle(70_000)).toBe(false)
    expect([generator.isIdle(129_999), generator.isIdle(130_000)]).toEqual([false, true])
  })

  test('is never idle without idleAfter', () => {
    const generator = new WatermarkGenerator(boundedOutOfOrder('5s'))
    expect(generator.isIdle(0)).toBe(false)
    expect(generator.isIdle(1e12)).toBe(false)
  })
})

test('boundedOutOfOrder() refuses what is not a duration, and idleAfter of nothing', () => {
  // @ts-expect-error the compiler says so too
  expect(() => boundedOutOfOrder('5 seconds')).toThrow('Not a duration')
  expect(() => monotonous({ idleAfter: '0s' })).toThrow('idleAfter is 0')
})
