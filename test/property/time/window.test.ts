import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sliding } from '#runtime/time/window'

const setting = fc.integer({ min: 1, max: 500 }).chain((size) =>
  fc.record({
    size: fc.constant(size),
    slide: fc.integer({ min: 1, max: size }),
    offset: fc.integer({ min: -1000, max: 1000 }),
  }),
)
const time = fc.oneof(fc.integer({ min: -5000, max: 5000 }), fc.integer({ min: -8e15, max: 8e15 }))

describe('windows', () => {
  test('hold a time exactly when it lies between start and end, and start on the grid', () => {
    fc.assert(
      fc.property(setting, time, (options, at) => {
        const windows = sliding(options)
        const found = windows.windowsOf(at)
        for (const { start, end } of found) {
          expect(start <= at && at < end && end - start === options.size).toBe(true)
          expect(Math.abs((start - windows.offsetMs) % options.slide)).toBe(0)
        }
        expect(found.map((w) => w.start)).toEqual(
          [...new Set(found.map((w) => w.start))].sort((a, b) => a - b),
        )
        const { start } = found.at(-1)!
        expect(start + options.slide > at).toBe(true)
        expect(found[0]!.start - options.slide + options.size <= at).toBe(true)
      }),
    )
  })

  test('are made of the panes that name them', () => {
    fc.assert(
      fc.property(setting, time, (options, at) => {
        const windows = sliding(options)
        const pane = windows.paneStart(at)
        expect(pane <= at && at < pane + windows.paneMs).toBe(true)
        const ends = windows.windowEndsOfPane(pane)
        expect(ends).toEqual(windows.windowsOf(at).map((w) => w.end))
        for (const end of ends) expect((end - pane) % windows.paneMs).toBe(0)
        expect(windows.lastEndOfPane(pane)).toBe(ends.at(-1))
      }),
    )
  })
})
