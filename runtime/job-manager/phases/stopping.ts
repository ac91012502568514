/** Stopping: the last checkpoint or savepoint of the run, then the commits of its sinks. */
import { toErrorData, WeirError } from '#runtime/base/errors'
import { uncommitted, withCommitted, withFinished } from '../attempt.ts'
import type { At, Handlers, JobEventOf, Transition } from '../job-event.ts'
import type { Stopping } from '../job-phase.ts'
import { andThen, close, fail, failureOf, retryDelay, stay, timer } from '../job-steps.ts'
import { failStops, holdStop, raiseStops } from '../job-stops.ts'
import { EXECUTING } from './executing.ts'
import { run, takeLast } from './running.ts'

/** Closes the run when every sink has committed its last checkpoint. */
function closeIfCommitted(at: At<Stopping>): Transition {
  const { phase, settings } = at
  const { attempt, id, end } = phase
  const state = { ...at.state, phase }
  if (id === undefined) return stay(state)
  const missing = uncommitted(attempt, id)
  if (missing.length > 0) {
    const message = `waiting for sinks to commit ${id}: ${missing.slice(0, 5).join(', ')}`
    return stay({ ...state, message }, timer(settings.timing.noProgressMs))
  }
  return close(
    { ...at, state },
    {
      outcome: { status: end, committedUpTo: id },
      message: end === 'Finished' ? `finished; everything is committed with ${id}` : `stopped with ${id}`,
      waits: { settled: false, logged: true },
      effects: [{ type: 'stopCoordinator', reason: 'COORDINATOR_SHUTDOWN' }],
    },
  )
}

function onDone(at: At<Stopping>, { triggerId, id }: JobEventOf<'CheckpointDone'>): Transition {
  return triggerId === at.phase.request
    ? closeIfCommitted({ ...at, phase: { ...at.phase, id } })
    : stay(at.state)
}

function onFailed(at: At<Stopping>, { triggerId, error }: JobEventOf<'CheckpointFailed'>): Transition {
  const { phase, state } = at
  if (triggerId !== phase.request) return stay(state)
  // The tasks have reached their end and wait: another try costs nothing but time.
  if (phase.end === 'Finished') {
    const message = `end of data; the last checkpoint is tried again: ${error.message}`
    const again: Stopping = { ...phase, request: undefined, tries: phase.tries + 1 }
    return stay({ ...state, phase: again, message }, timer(retryDelay(at, again.tries)))
  }
  // Never triggered: no task has stopped. Whoever joined this stop gets a try of their own.
  if (error.context['checkpointId'] === undefined) {
    const refused = failStops(state, state.stops.slice(0, 1), error)
    return raiseStops(andThen(at, refused, (then) => run(then, phase.attempt, 'running; a stop was refused')))
  }
  return fail(at, failureOf({ ...error, retry: 'restart-job' }))
}

function onTimeOut(at: At<Stopping>): Transition {
  const { phase, settings } = at
  if (phase.id === undefined) return takeLast(at, phase)
  const missing = uncommitted(phase.attempt, phase.id).join(', ')
  const text = `Sinks did not commit ${phase.id} for ${settings.timing.noProgressMs} ms: ${missing}`
  return fail(at, failureOf(toErrorData(new WeirError('DEADLINE', text, { retry: 'restart-job' }))))
}

function onCommitted(at: At<Stopping>, event: JobEventOf<'SubtaskCommitted'>): Transition {
  const { phase, state } = at
  if (event.attempt !== phase.attempt.id) return stay(state)
  const attempt = withCommitted(phase.attempt, event.subtask, event.checkpointId)
  return closeIfCommitted({ ...at, phase: { ...phase, attempt } })
}

/** Counts only if the stop is refused and the job runs on. */
function onFinished(at: At<Stopping>, event: JobEventOf<'SubtaskFinished'>): Transition {
  const { phase, state } = at
  if (event.attempt !== phase.attempt.id) return stay(state)
  return stay({ ...state, phase: { ...phase, attempt: withFinished(phase.attempt, event.subtask) } })
}

export const STOPPING: Handlers<Stopping> = {
  ...EXECUTING,
  CheckpointDone: onDone,
  CheckpointFailed: onFailed,
  SubtaskCommitted: onCommitted,
  SubtaskFinished: onFinished,
  TimeOut: onTimeOut,
  StopRequested: (at, { stop }) => holdStop(at, stop),
}
