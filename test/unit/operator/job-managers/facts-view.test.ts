import { describe, expect, test } from 'vitest'
import { urgencyOf } from '#operator/job-managers/facts-view'
import { facts } from '../stream-job/observed.ts'

describe('urgencyOf()', () => {
  const skipped = { lateDropped: 0, badRecords: 0, skippedCommits: 0, leftPending: 0 }
  const last = (id: number) => ({
    checkpoint: {
      ...facts().checkpoint,
      last: { id, completedAt: 0, path: 's3://x', sizeBytes: 1, durationMs: 1 },
    },
  })

  test.each([
    ['records that are counted', {}, { records: { in: 9, out: 9, perSecond: 9, outPerSecond: 9 } }, 'never'],
    ['records that are dropped', {}, { skipped: { ...skipped, badRecords: 1, lateDropped: 1 } }, 'never'],
    ['a further checkpoint', last(1), last(2), 'later'],
    ['another state', {}, { state: 'Restarting' as const }, 'now'],
    ['output that is left to another job', {}, { skipped: { ...skipped, leftPending: 1 } }, 'now'],
    ['output that is gone', {}, { skipped: { ...skipped, skippedCommits: 1 } }, 'now'],
  ] as const)('%s', (_, before, now, urgency) => {
    expect(urgencyOf(facts(before), facts(now))).toBe(urgency)
  })
})
