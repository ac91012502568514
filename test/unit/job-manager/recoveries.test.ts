import { expect, test } from 'vitest'
import { TestClock } from '#runtime/testing/test-clock'
import { Recoveries } from '#runtime/job-manager/recoveries'

test('a recovery shows the milliseconds of each phase, and a second failure extends the same one', () => {
  const clock = new TestClock(1000)
  const recoveries = new Recoveries(clock)
  recoveries.begin('tm-1 was lost', { detectMs: 5 })
  clock.advance(20)
  recoveries.deploying(7)
  recoveries.begin('tm-2 was lost', { detectMs: 0 })
  clock.advance(100)
  recoveries.running()
  expect(recoveries.views).toHaveLength(1)
  expect(recoveries.views[0]?.firstRecordMs).toBeUndefined()
  clock.advance(3)
  recoveries.firstRecord()
  expect(recoveries.views).toEqual([
    {
      at: 1000,
      cause: 'tm-1 was lost',
      checkpointId: 7,
      detectMs: 5,
      electMs: 0,
      scheduleMs: 20,
      restoreMs: 100,
      firstRecordMs: 3,
    },
  ])
})

test('the first deployment of a job is not a recovery, and the last ten are kept', () => {
  const clock = new TestClock(1000)
  const recoveries = new Recoveries(clock)
  recoveries.deploying(undefined)
  recoveries.running()
  recoveries.firstRecord()
  expect(recoveries.views).toEqual([])
  for (let i = 0; i < 12; i++) {
    recoveries.begin(`failure ${i}`, { detectMs: 0 })
    recoveries.deploying(i)
    recoveries.running()
    recoveries.firstRecord()
  }
  expect(recoveries.views).toHaveLength(10)
  expect(recoveries.views[0]?.cause).toBe('failure 11')
})
