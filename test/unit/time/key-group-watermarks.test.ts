import { describe, expect, test } from 'vitest'
import { KeyGroupWatermarks } from '#runtime/time/key-group-watermarks'

const range = { from: 10, to: 20 }

describe('KeyGroupWatermarks', () => {
  test('begins at the beginning of time, the same for all groups', () => {
    const watermarks = new KeyGroupWatermarks(range)
    expect([watermarks.isUniform, watermarks.least, watermarks.of(15)]).toEqual([true, -Infinity, -Infinity])
    watermarks.advance(5)
    expect([watermarks.isUniform, watermarks.least, watermarks.of(15)]).toEqual([true, 5, 5])
  })

  test('never goes back', () => {
    const watermarks = new KeyGroupWatermarks(range)
    watermarks.advance(5)
    watermarks.advance(3)
    expect(watermarks.least).toBe(5)
  })

  test('at the old range it takes up its own value, whatever the other subtasks had', () => {
    const watermarks = new KeyGroupWatermarks(range, [
      { from: 0, to: 10, watermark: 1 },
      { from: 10, to: 20, watermark: 7 },
      { from: 20, to: 30, watermark: 9 },
    ])
    expect([watermarks.isUniform, watermarks.least]).toEqual([true, 7])
  })

  test('groups of several old subtasks keep what those had, until all have caught up', () => {
    const watermarks = new KeyGroupWatermarks(range, [
      { from: 0, to: 12, watermark: 5 },
      { from: 12, to: 17, watermark: 8 },
      { from: 17, to: 30, watermark: 3 },
    ])
    const all = () => [10, 11, 12, 16, 17, 19].map((group) => watermarks.of(group))
    expect([watermarks.isUniform, watermarks.least, all()]).toEqual([false, 3, [5, 5, 8, 8, 3, 3]])
    watermarks.advance(4)
    expect([watermarks.isUniform, watermarks.least, all()]).toEqual([false, 4, [5, 5, 8, 8, 4, 4]])
    watermarks.advance(8)
    expect([watermarks.isUniform, watermarks.least, all()]).toEqual([true, 8, [8, 8, 8, 8, 8, 8]])
  })

  test('what is stored gives the same again, in few runs', () => {
    const stored = [
      { from: 10, to: 12, watermark: 5 },
      { from: 12, to: 20, watermark: -Infinity },
    ]
    expect(new KeyGroupWatermarks(range, stored).snapshot()).toEqual(stored)
    const uniform = new KeyGroupWatermarks(range)
    uniform.advance(6)
    expect(uniform.snapshot()).toEqual([{ from: 10, to: 20, watermark: 6 }])
  })

  test('the end of event time is not stored, but what came before it', () => {
    const stored = [
      { from: 10, to: 12, watermark: 5 },
      { from: 12, to: 20, watermark: 8 },
    ]
    const watermarks = new KeyGroupWatermarks(range, stored)
    watermarks.advance(6)
    watermarks.advance(Infinity)
    expect([watermarks.isUniform, watermarks.least]).toEqual([true, Infinity])
    const before = [
      { from: 10, to: 12, watermark: 6 },
      { from: 12, to: 20, watermark: 8 },
    ]
    expect(watermarks.snapshot()).toEqual(before)
    const neverAdvanced = new KeyGroupWatermarks(range)
    neverAdvanced.advance(Infinity)
    expect(neverAdvanced.snapshot()).toEqual([{ from: 10, to: 20, watermark: -Infinity }])
  })

  test('groups that nobody has stored begin at the beginning of time', () => {
    const watermarks = new KeyGroupWatermarks(range, [{ from: 10, to: 19, watermark: 5 }])
    expect([watermarks.least, watermarks.of(18), watermarks.of(19)]).toEqual([-Infinity, 5, -Infinity])
  })
})
