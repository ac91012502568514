import { describe, expect, test } from 'vitest'
import { compareCounts, EmittedCounts } from '#tools/word-count/emitted-counts'

const counts = (...values: readonly number[]): EmittedCounts => {
  const it = new EmittedCounts()
  for (const value of values) it.add(value)
  return it
}
const compare = (emitted: Record<string, EmittedCounts>, expected: Record<string, number>) =>
  compareCounts(new Map(Object.entries(emitted)), new Map(Object.entries(expected)))

describe('compareCounts()', () => {
  test('accepts 1..n each once, in any order', () => {
    expect(compare({ a: counts(3, 1, 2), b: counts(1) }, { a: 3, b: 1 })).toEqual({
      words: 2,
      total: 4,
      differences: [],
      differing: 0,
    })
  })
  test.each([
    ['a count written twice', { a: counts(1, 2, 2) }, 'a: 1 counts were written more than once'],
    ['a gap', { a: counts(1, 3) }, 'a: 1 counts were never written'],
    ['a lost end', { a: counts(1, 2) }, 'a: occurs 3 times, the last count written is 2'],
    ['a word that is missing', {}, 'a: occurs 3 times, nothing was written'],
    ['a word too many', { a: counts(1, 2, 3), b: counts(1) }, 'b: does not occur, but counts were written'],
  ])('finds %s', (_, emitted: Record<string, EmittedCounts>, difference) => {
    expect(compare(emitted, { a: 3 }).differences).toContain(difference)
  })
  test('counts above 2^16 keep their place', () => {
    const many = new EmittedCounts()
    for (let n = 100_000; n >= 1; n--) many.add(n)
    expect([many.last, many.repeated, many.missing]).toEqual([100_000, 0, 0])
  })
})
