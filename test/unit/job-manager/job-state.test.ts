/** Cases of the job's machine that no shell can bring about at will. */
import { describe, expect, test } from 'vitest'
import { toErrorData, WeirError } from '#runtime/base/errors'
import { emptyLog, type LogState } from '#runtime/commit-log/log-state'
import { restartOptions } from '#runtime/contract/job-options'
import type { JobEffect, JobEvent, JobSettings, JobState } from '#runtime/job-manager/job-event'
import { shownState, type StopRequest } from '#runtime/job-manager/job-phase'
import { begin, next } from '#runtime/job-manager/job-state'
import { planOf } from '#test/kit/job-world'

const settings: JobSettings = {
  plan: planOf(1),
  run: 1,
  epoch: 1,
  expectedSlots: 1,
  restart: restartOptions.parse({}),
  restore: undefined,
  timing: {
    adoptMs: 2000,
    noProgressMs: 60_000,
    handOverMs: 8000,
    retry: { initialMs: 500, maxMs: 10_000, multiplier: 2, jitter: 0 },
  },
}
const LOG: LogState = { ...emptyLog, epoch: 1, run: 1 }
const member = { key: 'tm-1#1', id: 'tm-1', slots: 1, dataAddress: 'tm-1:1', leaving: false }
const subtask = { vertex: 'v', subtask: 0 }

class Course {
  state: JobState = begin(settings).state
  effects: JobEffect[] = []
  log: LogState = LOG

  apply(...events: JobEvent[]): this {
    for (const event of events) {
      const moment = { now: 0, random: 0.5, log: this.log }
      const { state, effects } = next(settings, this.state, event, moment)
      this.state = state
      this.effects.push(...effects)
    }
    return this
  }

  get phase() {
    return this.state.phase.kind
  }

  answers(): Record<string, string> {
    return Object.fromEntries(
      this.effects.flatMap((e) =>
        e.type === 'answerStop'
          ? [[e.stop.triggerId, e.outcome.kind === 'failed' ? e.outcome.error.code : e.outcome.status]]
          : [],
      ),
    )
  }

  lastRequest(): string {
    return this.effects.findLast((e) => e.type === 'takeCheckpoint')?.request.triggerId ?? ''
  }
}

const running = () =>
  new Course().apply(
    { type: 'Registered', member },
    { type: 'TimeOut' },
    { type: 'Verified', deployment: 1, point: { kind: 'empty' }, url: undefined },
    { type: 'Appended', kind: 'DEPLOY' },
    { type: 'Deployed', member: 'tm-1#1', attempt: '1.1' },
  )

const stopRequest = (triggerId: string, how: Partial<StopRequest> = {}): JobEvent => ({
  type: 'StopRequested',
  stop: { triggerId, savepoint: undefined, drain: false, ...how },
})
const refused = toErrorData(new WeirError('CKP_DECLINED', 'the queue is full'))

describe('a stop that cannot even be tried', () => {
  test('is refused alone: whoever joined it gets a try of their own', () => {
    const course = running().apply(
      stopRequest('a', { savepoint: { path: undefined } }),
      stopRequest('b', { drain: true }),
    )
    const first = course.lastRequest()
    course.apply({ type: 'CheckpointFailed', triggerId: first, error: refused })
    expect(course.answers()).toEqual({ a: 'CKP_DECLINED' })
    expect(course.phase).toBe('Stopping')
    expect(course.lastRequest()).not.toBe(first)
    expect(course.effects.findLast((e) => e.type === 'takeCheckpoint')?.request).toMatchObject({
      kind: 'checkpoint',
      end: 'Drained',
    })
  })

  test('does not hide that the sources have ended meanwhile', () => {
    const course = running().apply(stopRequest('a'), { type: 'SubtaskFinished', attempt: '1.1', subtask })
    course.apply({ type: 'CheckpointFailed', triggerId: course.lastRequest(), error: refused })
    expect(course.effects.findLast((e) => e.type === 'takeCheckpoint')?.request.end).toBe('Finished')
  })
})

describe('messages', () => {
  test('of a connection that is gone change nothing', () => {
    const course = running()
    const { state } = course
    course.apply(
      { type: 'Lost', member: 'tm-1#0', why: 'late', silentMs: 0 },
      { type: 'TaskFailed', member: 'tm-1#0', attempt: '1.1', subtask: undefined, error: refused },
      { type: 'Heartbeat', member: 'tm-1#0', attempt: undefined, progress: undefined },
    )
    expect(course.state).toBe(state)
  })

  test('that mean nothing give the same state, so that nobody is told of a change', () => {
    const course = running()
    const { state } = course
    course.apply(
      { type: 'Heartbeat', member: 'tm-1#1', attempt: '1.1', progress: undefined },
      { type: 'SubtaskFinished', attempt: '1.0', subtask },
      { type: 'CheckpointDone', triggerId: 'nobody', id: 1 },
    )
    expect(course.state).toBe(state)
  })
})

describe('a term that ends', () => {
  test('after the run leaves known how the run has ended', () => {
    const course = running().apply(stopRequest('a'))
    course.apply({ type: 'CheckpointDone', triggerId: course.lastRequest(), id: 1 })
    course.apply({ type: 'SubtaskCommitted', attempt: '1.1', subtask, checkpointId: 1 })
    course.apply({ type: 'Settled' }, { type: 'Appended', kind: 'CLOSE' })
    expect(course.answers()).toEqual({ a: 'Suspended' })
    course.apply({ type: 'TermOver', error: new WeirError('FENCED', 'a newer epoch') })
    expect(shownState(course.state.phase)).toBe('Suspended')
    expect(course.effects.at(-1)?.type).toBe('over')
  })

  test('before it answers every stop, and those that come later', () => {
    const course = running().apply(stopRequest('a'))
    course.apply({ type: 'Lost', member: 'tm-1#1', why: 'gone', silentMs: 0 })
    expect(course.phase).toBe('Restarting')
    course.apply(stopRequest('b'), { type: 'TermOver', error: new WeirError('FENCED', 'a newer epoch') })
    expect(course.answers()).toEqual({ a: 'FENCED', b: 'FENCED' })
    course.apply(stopRequest('c'))
    expect(course.answers()).toMatchObject({ c: 'FENCED' })
  })
})

describe('what is denied', () => {
  test('is asked for ever more rarely, up to the limit', () => {
    const course = running().apply(stopRequest('a'))
    course.apply({ type: 'CheckpointDone', triggerId: course.lastRequest(), id: 1 })
    course.apply({ type: 'SubtaskCommitted', attempt: '1.1', subtask, checkpointId: 1 }, { type: 'Settled' })
    course.effects = []
    const denied = toErrorData(new WeirError('STO_DENIED', 'the token has expired'))
    for (let i = 0; i < 7; i++)
      course.apply({ type: 'Refused', kind: 'CLOSE', error: denied }, { type: 'TimeOut' })
    const delays = course.effects.flatMap((e) => (e.type === 'timer' ? [e.delayMs] : []))
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000])
  })
})
