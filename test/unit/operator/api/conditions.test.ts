import { expect, test } from 'vitest'
import { mergeConditions, type ConditionValue } from '#operator/api/conditions'

const ready = (status: 'True' | 'False'): ConditionValue => ({
  type: 'Ready',
  status,
  reason: 'Running',
  message: status,
})

test('mergeConditions() moves the transition time only when the status changes', () => {
  const first = mergeConditions(undefined, [ready('False')], 1, 't1')
  const same = mergeConditions(first, [{ ...ready('False'), message: 'other' }], 2, 't2')
  expect(same).toEqual([
    {
      type: 'Ready',
      status: 'False',
      reason: 'Running',
      message: 'other',
      observedGeneration: 2,
      lastTransitionTime: 't1',
    },
  ])
  expect(mergeConditions(same, [ready('True')], 3, 't3')[0]?.lastTransitionTime).toBe('t3')
})

test('mergeConditions() keeps conditions of others and shortens long messages', () => {
  const foreign = {
    type: 'Other',
    status: 'True',
    lastTransitionTime: 't',
    reason: 'R',
    message: '',
  } as const
  const merged = mergeConditions([foreign], [{ ...ready('True'), message: 'x'.repeat(5000) }], 1, 't')
  expect(merged[1]).toEqual(foreign)
  expect(merged[0]?.message).toHaveLength(2048)
})
