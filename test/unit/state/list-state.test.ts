import { describe, expect, test } from 'vitest'
import { encodeListSection, readListState, redistribute } from '#runtime/state/list-state'
import { encodeStateFile, openStateFile } from '#runtime/state/snapshot-format'

describe('readListState()', () => {
  test('finds the items of one list of one operator', () => {
    const sections = [
      encodeListSection('a', 'splits', 'split', [1, { two: 2 }]),
      encodeListSection('a', 'pending', 'union', ['x']),
      encodeListSection('b', 'splits', 'split', []),
    ]
    const file = openStateFile(encodeStateFile({ mode: 'full', sections }, { compress: false }))
    expect(readListState(file, 'a', 'splits')).toEqual({ mode: 'split', items: [1, { two: 2 }] })
    expect(readListState(file, 'a', 'pending')).toEqual({ mode: 'union', items: ['x'] })
    expect(readListState(file, 'b', 'splits')).toEqual({ mode: 'split', items: [] })
    expect(readListState(file, 'c', 'splits')).toBeUndefined()
  })
})

describe('redistribute()', () => {
  test('deals items out in order, evenly', () => {
    expect(redistribute([['a', 'b', 'c'], [], ['d', 'e']], 2)).toEqual([
      ['a', 'c', 'e'],
      ['b', 'd'],
    ])
    expect(redistribute([['a']], 3)).toEqual([['a'], [], []])
    expect(redistribute([], 2)).toEqual([[], []])
  })
})
