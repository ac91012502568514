/**
 * Running, how it begins and how it ends: a TaskManager that leaves is left in an orderly way; the
 * end of the data and a stop lead to the last checkpoint.
 */
import { hasFinished, uses, withCommitted, withFinished, type Attempt } from '../attempt.ts'
import type { At, Handlers, JobEffect, JobEventOf, Transition } from '../job-event.ts'
import type { PhaseOf, Stopping } from '../job-phase.ts'
import { andThen, enter, fail, findPlaces, lost, noTimer, stay, timer } from '../job-steps.ts'
import { holdStop } from '../job-stops.ts'
import { EXECUTING } from './executing.ts'

type Running = PhaseOf<'Running'>

/** All of the attempt runs; what was said meanwhile counts. */
export function run(at: At, attempt: Attempt, message: string, ...effects: JobEffect[]): Transition {
  const running: Running = { kind: 'Running', attempt, moving: undefined }
  const entered = enter(at, running, message, ...effects)
  if (hasFinished(attempt))
    return andThen(at, entered, (then) => takeLast(then, stopping(attempt, 'Finished')))
  const leaving = at.state.members.find((m) => m.leaving && uses(attempt, m.key))
  if (leaving === undefined) return entered
  return andThen(at, entered, (then) =>
    moveAway({ ...then, phase: running }, `TaskManager ${leaving.id} leaves`),
  )
}

// --- A TaskManager leaves -----------------------------------------------------------------------

function onLeaving(at: At<Running>, { member, why }: JobEventOf<'Leaving'>): Transition {
  const { attempt, moving } = at.phase
  const leaving = at.state.members.find((m) => m.key === member)
  if (leaving === undefined || moving !== undefined || !uses(attempt, member)) return stay(at.state)
  return moveAway(at, `TaskManager ${leaving.id} leaves: ${why}`)
}

function moveAway(at: At<Running>, cause: string): Transition {
  const moving: Running = { ...at.phase, moving: { cause, request: undefined } }
  const waiting = stay({ ...at.state, phase: moving }, timer(at.settings.timing.handOverMs))
  return andThen(at, waiting, (then) => moveOn({ ...then, phase: moving }, false))
}

/** Once there is room elsewhere, or no more time: a last checkpoint, so that little is replayed. */
function moveOn(at: At<Running>, atOnce: boolean): Transition {
  const { phase, state } = at
  const { moving } = phase
  if (moving === undefined || moving.request !== undefined) return stay(state)
  if (!atOnce && findPlaces(at) === undefined) return stay(state)
  const counter = state.counter + 1
  const triggerId = `${phase.attempt.id}/move-${counter}`
  const asked: Running = { ...phase, moving: { ...moving, request: triggerId } }
  return stay({ ...state, phase: asked, counter }, noTimer, {
    type: 'takeCheckpoint',
    request: { triggerId, kind: 'checkpoint' },
  })
}

function onMoved(at: At<Running>, triggerId: string): Transition {
  const { moving } = at.phase
  if (moving === undefined || moving.request !== triggerId) return stay(at.state)
  return fail(at, lost(moving.cause))
}

// --- The run is to end --------------------------------------------------------------------------

function onFinished(at: At<Running>, event: JobEventOf<'SubtaskFinished'>): Transition {
  const { phase, state } = at
  if (event.attempt !== phase.attempt.id) return stay(state)
  const attempt = withFinished(phase.attempt, event.subtask)
  if (!hasFinished(attempt)) return stay({ ...state, phase: { ...phase, attempt } })
  return takeLast(at, stopping(attempt, 'Finished'))
}

function onStop(at: At<Running>, { stop }: JobEventOf<'StopRequested'>): Transition {
  const asked: At = { ...at, state: holdStop(at, stop).state }
  return takeLast(asked, stopping(at.phase.attempt, stop.drain ? 'Drained' : 'Suspended', stop.savepoint))
}

function stopping(attempt: Attempt, end: Stopping['end'], savepoint?: Stopping['savepoint']): Stopping {
  return { kind: 'Stopping', attempt, end, savepoint, request: undefined, id: undefined, tries: 0 }
}

/** Takes the last checkpoint or savepoint of the run. */
export function takeLast(at: At, phase: Stopping): Transition {
  const counter = at.state.counter + 1
  const triggerId = `${phase.attempt.id}/last-${counter}`
  const { end, savepoint } = phase
  const path = savepoint?.path === undefined ? {} : { path: savepoint.path }
  const kind = savepoint === undefined ? 'checkpoint' : 'savepoint'
  const asked: Stopping = { ...phase, request: triggerId }
  const counted: At = { ...at, state: { ...at.state, counter } }
  const request = { triggerId, kind, end, ...path } as const
  return enter(counted, asked, stoppingText(asked), { type: 'takeCheckpoint', request })
}

function stoppingText({ end, savepoint }: Stopping): string {
  if (end === 'Finished') return 'end of data: last checkpoint'
  const kind = savepoint === undefined ? 'checkpoint' : 'savepoint'
  return `${end === 'Drained' ? 'draining' : 'stopping'} with a ${kind}`
}

function onCommitted(at: At<Running>, event: JobEventOf<'SubtaskCommitted'>): Transition {
  const { phase, state } = at
  if (event.attempt !== phase.attempt.id) return stay(state)
  const attempt = withCommitted(phase.attempt, event.subtask, event.checkpointId)
  return stay({ ...state, phase: { ...phase, attempt } })
}

export const RUNNING: Handlers<Running> = {
  ...EXECUTING,
  Registered: (at) => moveOn(at, false),
  Leaving: onLeaving,
  TimeOut: (at) => moveOn(at, true),
  CheckpointDone: (at, { triggerId }) => onMoved(at, triggerId),
  CheckpointFailed: (at, { triggerId }) => onMoved(at, triggerId),
  SubtaskFinished: onFinished,
  SubtaskCommitted: onCommitted,
  StopRequested: onStop,
}
