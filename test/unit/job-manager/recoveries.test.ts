import { expect, test } from 'vitest'
import { Recoveries } from '#runtime/job-manager/recoveries'
import { TestClock } from '#runtime/testing/test-clock'

/** A recovery of 20 ms to the deployment and 100 ms of restoring. */
function recover(recoveries: Recoveries, clock: TestClock, cause = 'tm-1 was lost', checkpointId = 7) {
  recoveries.begin(cause, { detectMs: 5 })
  clock.advance(20)
  recoveries.deploying(checkpointId)
  clock.advance(100)
  recoveries.running()
}

test('a recovery shows the milliseconds of each phase', () => {
  const clock = new TestClock(1000)
  const recoveries = new Recoveries(clock)
  recover(recoveries, clock)
  expect(recoveries.views[0]?.firstRecordMs).toBeUndefined()
  clock.advance(3)
  recoveries.firstRecord()
  clock.advance(50)
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

test('a second failure on the way extends the same recovery', () => {
  const clock = new TestClock()
  const recoveries = new Recoveries(clock)
  recoveries.begin('tm-1 was lost')
  clock.advance(10)
  recoveries.deploying(7)
  clock.advance(10)
  recover(recoveries, clock, 'tm-2 was lost', 8)
  expect(recoveries.views).toHaveLength(1)
  expect(recoveries.views[0]).toMatchObject({ cause: 'tm-1 was lost', checkpointId: 8, scheduleMs: 40 })
})

test('a failure after the job ran again is a recovery of its own, also when no record came between', () => {
  const clock = new TestClock()
  const recoveries = new Recoveries(clock)
  recover(recoveries, clock)
  clock.advance(3_600_000)
  recover(recoveries, clock, 'tm-2 was lost')
  clock.advance(3)
  recoveries.firstRecord()
  expect(
    recoveries.views.map(({ cause, scheduleMs, firstRecordMs }) => ({ cause, scheduleMs, firstRecordMs })),
  ).toEqual([
    { cause: 'tm-2 was lost', scheduleMs: 20, firstRecordMs: 3 },
    { cause: 'tm-1 was lost', scheduleMs: 20, firstRecordMs: undefined },
  ])
})

test('what was adopted was not deployed: all of its time went into looking for it', () => {
  const clock = new TestClock()
  const recoveries = new Recoveries(clock)
  recoveries.begin('JobManager replaced; epoch 2', { electMs: 7 })
  clock.advance(30)
  recoveries.running()
  expect(recoveries.views[0]).toMatchObject({
    electMs: 7,
    scheduleMs: 30,
    restoreMs: 0,
    checkpointId: undefined,
  })
})

test('the first deployment of a job is not a recovery, and the last ten are kept', () => {
  const clock = new TestClock()
  const recoveries = new Recoveries(clock)
  recoveries.deploying(undefined)
  recoveries.running()
  recoveries.firstRecord()
  expect(recoveries.views).toEqual([])
  for (let i = 0; i < 12; i++) recover(recoveries, clock, `failure ${i}`)
  expect(recoveries.views).toHaveLength(10)
  expect(recoveries.views[0]?.cause).toBe('failure 11')
})
