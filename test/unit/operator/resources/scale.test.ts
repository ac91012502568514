import { describe, expect, test } from 'vitest'
import { limitedScale, parallelismOf } from '#operator/resources/scale'
import { specHash } from '#operator/resources/spec-hash'
import { spec } from '../fixtures.ts'

const scale = (replicas: number, slots: number, over: object = {}) =>
  limitedScale(spec({ taskManager: { replicas, slots }, ...over }))

describe('limitedScale()', () => {
  test.each([
    ['as many as are asked for', scale(128, 1), undefined],
    ['one for each key group', scale(200, 1), 128],
    ['as many as have work, the last one not in full', scale(40, 5), 26],
    ['one, whose slots are too many already', scale(3, 64, { maxParallelism: 32 }), 1],
    ['as many as are asked for beside a parallelism', scale(200, 1, { parallelism: 2 }), undefined],
  ])('grants %s', (_what, { spec: limited, limit }, granted) => {
    expect(limit?.granted).toBe(granted)
    if (granted !== undefined) expect(limited.taskManager.replicas).toBe(granted)
  })

  test('a scale further beyond the limit is no other run', () => {
    expect(specHash(scale(200, 1).spec, undefined)).toBe(specHash(scale(300, 1).spec, undefined))
    expect(specHash(scale(200, 1).spec, undefined)).toBe(specHash(scale(128, 1).spec, undefined))
  })
})

test('parallelismOf() is never beyond maxParallelism, and left open below it', () => {
  expect(parallelismOf(scale(40, 5).spec)).toBe(128)
  expect(parallelismOf(scale(2, 4).spec)).toBeUndefined()
  expect(parallelismOf(scale(2, 4, { parallelism: 3 }).spec)).toBe(3)
})
