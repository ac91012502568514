import { expect, test } from 'vitest'
import { attemptId, checkpointId, type AttemptId, type CheckpointId, type Epoch } from '#runtime/contract/ids'

test('an id of one kind is not taken for one of another: that does not compile', () => {
  const plain: Epoch = 3
  // @ts-expect-error an epoch is not a checkpoint
  const wrong: CheckpointId = plain
  // @ts-expect-error nor is it where a checkpoint is asked for within something
  const pair: { readonly id: CheckpointId } = { id: plain }
  // @ts-expect-error nor is a checkpoint the name of an attempt
  const attempt: AttemptId = checkpointId.parse(3)
  expect([wrong, pair.id, attempt]).toEqual([3, 3, 3])
})

test('an id that is read has its form', () => {
  expect(attemptId.safeParse('3.14').success).toBe(true)
  expect(attemptId.safeParse('3').success).toBe(false)
  expect(checkpointId.safeParse(0).success).toBe(false)
})
