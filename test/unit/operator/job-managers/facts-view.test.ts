import { describe, expect, test } from 'vitest'
import type { JobFacts, WaitView } from '#runtime/contract/rest'
import { urgencyOf } from '#operator/job-managers/facts-view'
import { facts } from '../stream-job/observed.ts'

describe('urgencyOf()', () => {
  const skipped = { lateDropped: 0, badRecords: 0, skippedCommits: 0, leftPending: 0 }
  const waits = (kind: WaitView['kind'], since: number, message: string) => ({
    waits: [{ kind, since, message }],
  })
  const last = (id: number) => ({
    checkpoint: {
      ...facts().checkpoint,
      last: { id, completedAt: 0, path: 's3://x', sizeBytes: 1, durationMs: 1 },
    },
  })

  test.each([
    ['records that are counted', {}, { records: { in: 9, out: 9, perSecond: 9, outPerSecond: 9 } }, 'never'],
    ['the first records that are dropped', {}, { skipped: { ...skipped, badRecords: 1 } }, 'now'],
    [
      'more records that are dropped',
      { skipped: { ...skipped, badRecords: 1 } },
      { skipped: { ...skipped, badRecords: 2 } },
      'never',
    ],
    ['a wait', {}, waits('store', 8000, 'a'), 'now'],
    ['the end of a wait', waits('source', 8000, 'a'), {}, 'now'],
    ['another cause of a wait for the store', waits('store', 8000, 'a'), waits('store', 8000, 'b'), 'never'],
    ['another number of slots', waits('slots', 8000, '1 of 2'), waits('slots', 8000, '0 of 2'), 'now'],
    ['the same wait, dated otherwise', waits('store', 8000, 'a'), waits('store', 8001, 'a'), 'never'],
    ['a checkpoint under way', {}, waits('checkpoint', 2000, 'a'), 'never'],
    ['a further checkpoint', last(1), last(2), 'later'],
    ['another state', {}, { state: 'Restarting' as const }, 'now'],
    ['output that is left to another job', {}, { skipped: { ...skipped, leftPending: 1 } }, 'now'],
    ['output that is gone', {}, { skipped: { ...skipped, skippedCommits: 1 } }, 'now'],
  ] as const)('%s', (_, before, now, urgency) => {
    const at = (over: Partial<JobFacts>) => ({ facts: facts(over), at: 10_000 })
    expect(urgencyOf(at(before), at(now))).toBe(urgency)
  })

  test('a checkpoint that is under way for 10 s', () => {
    const slow = facts(waits('checkpoint', 2000, 'a'))
    expect(urgencyOf({ facts: slow, at: 11_000 }, { facts: slow, at: 12_000 })).toBe('now')
    expect(urgencyOf({ facts: slow, at: 12_000 }, { facts: slow, at: 13_000 })).toBe('never')
  })
})
