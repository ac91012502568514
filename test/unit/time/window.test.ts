import { describe, expect, test } from 'vitest'
import { sliding, tumbling, type DurationInput } from '#runtime/time/window'

describe('tumbling()', () => {
  test('gives each time one window of one pane, also before the epoch', () => {
    const windows = tumbling('10s')
    expect(windows.paneMs).toBe(10_000)
    expect(windows.windowsOf(0)).toEqual([{ start: 0, end: 10_000 }])
    expect(windows.windowsOf(9_999)).toEqual([{ start: 0, end: 10_000 }])
    expect(windows.windowsOf(10_000)).toEqual([{ start: 10_000, end: 20_000 }])
    expect(windows.windowsOf(-1)).toEqual([{ start: -10_000, end: 0 }])
    expect(windows.windowsOf(-10_000)).toEqual([{ start: -10_000, end: 0 }])
    expect(windows.paneStart(-1)).toBe(-10_000)
  })

  test('moves starts by the offset', () => {
    const days = tumbling({ size: '24h', offset: '6h' })
    expect(new Date(days.paneStart(Date.UTC(2026, 0, 2, 5))).toISOString()).toBe('2026-01-01T06:00:00.000Z')
    expect(tumbling({ size: 10, offset: -3 }).paneStart(6)).toBe(-3)
    expect(tumbling({ size: 10, offset: 27 }).paneStart(6)).toBe(-3)
  })

  test.each([
    ['0s', 'longer than 0'],
    [1.5, 'whole milliseconds'],
    ['ten', 'Not a duration'],
  ])('refuses a size of %s', (size, message) => {
    expect(() => tumbling(size as DurationInput)).toThrow(message)
  })
})

describe('sliding()', () => {
  const windows = sliding({ size: '10s', slide: '4s' })

  test('has panes of the greatest common divisor', () => {
    expect(windows.paneMs).toBe(2_000)
    expect(sliding({ size: '1m', slide: '10s' }).paneMs).toBe(10_000)
  })

  test('gives a time all its windows', () => {
    expect(windows.windowsOf(5_000)).toEqual([
      { start: -4_000, end: 6_000 },
      { start: 0, end: 10_000 },
      { start: 4_000, end: 14_000 },
    ])
    expect(windows.paneStart(5_000)).toBe(4_000)
    expect(windows.windowEndsOfPane(4_000)).toEqual([6_000, 10_000, 14_000])
    expect(windows.lastEndOfPane(4_000)).toBe(14_000)
  })

  test('refuses gaps between windows', () => {
    expect(() => sliding({ size: '4s', slide: '5s' })).toThrow('Expected slide <= size')
  })
})
