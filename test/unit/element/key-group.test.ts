import { describe, expect, test } from 'vitest'
import { keyGroupRange, subtaskOfKeyGroup } from '#runtime/element/key-group'

describe('keyGroupRange()', () => {
  test('splits 128 groups over 3 subtasks as Flink does', () => {
    expect([0, 1, 2].map((i) => keyGroupRange(i, 3, 128))).toEqual([
      { from: 0, to: 43 },
      { from: 43, to: 86 },
      { from: 86, to: 128 },
    ])
  })

  test('refuses more subtasks than groups, naming both', () => {
    expect(() => keyGroupRange(0, 129, 128)).toThrow('Parallelism 129 does not fit maxParallelism 128')
    expect(() => keyGroupRange(0, 0, 128)).toThrow('Parallelism 0')
    expect(() => keyGroupRange(0, 1, 0)).toThrow('maxParallelism is 0')
    expect(() => keyGroupRange(2, 2, 128)).toThrow('Subtask 2 does not exist')
  })
})

describe('subtaskOfKeyGroup()', () => {
  test('is the owner of the group', () => {
    expect([0, 42, 43, 85, 86, 127].map((g) => subtaskOfKeyGroup(g, 3, 128))).toEqual([0, 0, 1, 1, 2, 2])
  })
})
