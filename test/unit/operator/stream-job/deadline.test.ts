import { describe, expect, test } from 'vitest'
import { edges } from '#operator/stream-job/edges'
import { notReadyLookIn } from '#operator/stream-job/status'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import {
  facts,
  type Modifier,
  neverRan,
  observed,
  withFacts,
  withHash,
  withoutLeader,
  withRun,
  withSpec,
  withStatus,
} from './observed.ts'
import { podProblem, ready, statusOf, summary } from './statuses.ts'

describe('the deadline', () => {
  const START = Date.parse('2030-01-01T00:09:00.000Z')
  const at =
    (ms: number): Modifier =>
    (o) => ({ ...o, now: START + ms })
  const MINUTE = 60_000
  const stalled = (status: StreamJobStatus) => status.conditions?.find((c) => c.type === 'Stalled')
  const waiting = withFacts({ state: 'WaitingForSlots', message: 'waits for 2 slots' })
  const notReadyFrom = (ms: number, ...modifiers: readonly Modifier[]) =>
    withStatus({ conditions: statusOf(withStatus({ conditions: [] }), at(ms), ...modifiers).conditions })

  test('a run that is not ready stalls after 5 minutes, or what the spec says, and not before', () => {
    const early = statusOf(waiting, notReadyFrom(0, waiting), at(5 * MINUTE - 1))
    expect(summary(early)).toMatchObject({ Reconciling: true, Stalled: false })
    const late = statusOf(waiting, notReadyFrom(0, waiting), at(5 * MINUTE))
    expect(summary(late)).toMatchObject({ Ready: false, Reconciling: false, Stalled: true })
    expect(stalled(late)).toMatchObject({
      reason: 'DeadlineExceeded',
      message: 'Not ready within 5m (spec.upgrade.deadline). waits for 2 slots',
    })
    expect(ready(late)?.reason).toBe('WaitingForSlots')
    const short = withSpec({ upgrade: { deadline: '10s' } }, 1)
    expect(stalled(statusOf(waiting, short, notReadyFrom(0, waiting), at(10_000)))?.status).toBe('True')
  })

  test('the cause that the pods have is the reason, and it is in Ready at once', () => {
    const modifiers = [withoutLeader(5000), withStatus({ phase: 'Starting' }), podProblem] as const
    expect(ready(statusOf(...modifiers, at(1000)))?.reason).toBe('ImagePullFailed')
    const late = statusOf(...modifiers, notReadyFrom(0, ...modifiers), at(5 * MINUTE))
    expect(stalled(late)).toMatchObject({ status: 'True', reason: 'ImagePullFailed' })
    expect(stalled(late)?.message).toContain('no such image')
  })

  test('ends when the job is ready', () => {
    const late = statusOf(waiting, notReadyFrom(0, waiting), at(5 * MINUTE))
    const after = statusOf(withStatus(late), at(6 * MINUTE))
    expect(summary(after)).toMatchObject({ Ready: true, Stalled: false, Reconciling: false })
  })

  test('a run that comes up and fails again and again has no checkpoint by then, and stalls', () => {
    const failing = withFacts({ state: 'Restarting', restarts: 40 })
    const since = (ms: number) => notReadyFrom(ms, failing)
    expect(stalled(statusOf(failing, since(5 * MINUTE), at(5 * MINUTE + 5000)))?.status).toBe('False')
    const late = statusOf(failing, since(5 * MINUTE), at(5 * MINUTE + 10_000))
    expect(stalled(late)?.status).toBe('True')
    const last = { id: 1, completedAt: START + 1, path: 's3://x', sizeBytes: 1, durationMs: 1 }
    const hasRun = withFacts({ state: 'Restarting', checkpoint: { ...facts().checkpoint, last } })
    expect(stalled(statusOf(hasRun, since(5 * MINUTE), at(6 * MINUTE)))?.status).toBe('False')
  })

  test('counts from the start of the run, not from the stop of the one before', () => {
    const began = withRun({ startedAt: new Date(START + 4 * MINUTE).toISOString() })
    expect(stalled(statusOf(waiting, began, notReadyFrom(0, waiting), at(6 * MINUTE)))?.status).toBe('False')
  })

  test('does not count while a run that was asked to stop is stopping', () => {
    const asked = withRun({ stopRequestedAt: new Date(START).toISOString() })
    const stopping = [withHash('h2'), asked, withFacts({ state: 'Stopping' })] as const
    expect(stalled(statusOf(...stopping, notReadyFrom(0, ...stopping), at(5.5 * MINUTE)))?.status).toBe(
      'False',
    )
  })

  test('a run that is stopped for the next one is not late for its checkpoint', () => {
    const upgrading = [withHash('h2'), withFacts({ state: 'Running' })] as const
    expect(stalled(statusOf(...upgrading, at(20 * MINUTE)))?.status).toBe('False')
  })

  test('what blocks a start for so long stalls it, also where waiting could have helped', () => {
    const waits: Modifier = (o) => ({
      ...o,
      desired: {
        kind: 'blocked',
        specHash: 'h',
        unscaledHash: 'h',
        blocker: { reason: 'RestoreNotReady', message: 'waiting', needsUser: false },
      },
    })
    const late = statusOf(neverRan, waits, notReadyFrom(0, neverRan, waits), at(5 * MINUTE))
    expect(stalled(late)).toMatchObject({ status: 'True', reason: 'RestoreNotReady' })
  })

  test('is a warning once, and somebody looks again by then', () => {
    const before = statusOf(waiting, notReadyFrom(0, waiting), at(MINUTE))
    const late = statusOf(waiting, withStatus(before), at(5 * MINUTE))
    expect(edges(before, late).map((e) => [e.type, e.reason])).toEqual([['Warning', 'DeadlineExceeded']])
    expect(edges(late, late)).toEqual([])
    expect(notReadyLookIn(observed(waiting), before)).toBe(15_000)
    expect(notReadyLookIn(observed(waiting), late)).toBe(60_000)
    expect(notReadyLookIn(observed(), statusOf())).toBeUndefined()
  })
})
