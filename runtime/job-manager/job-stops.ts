/** What becomes of stops that somebody asked for; pure, as all of the job's machine. */
import { toErrorData, WeirError, type ErrorData } from '#runtime/base/errors'
import { FAILURE_REASONS } from '#runtime/contract/failure-reasons'
import type { At, JobEffect, JobState, StopOutcome, Transition } from './job-event.ts'
import type { RunOutcome, StopRequest, Waits } from './job-phase.ts'
import { close, stay } from './job-steps.ts'

const CERTAIN: Waits = { settled: true, logged: true }

/** The stop waits until it is known how the run continues, or until it has ended. */
export const holdStop = ({ state }: At, stop: StopRequest): Transition =>
  stay({ ...state, stops: [...state.stops, stop] })

/** A stop of a job that runs nothing: what the log has is what there is. */
export function stopIdle(at: At, stop: StopRequest, waits = CERTAIN): Transition {
  const { lastCheckpoint, ending } = at.moment.log
  // The run is ending as it is, or may be: whoever waits is answered when it has ended, or not.
  if (ending !== undefined || !waits.settled) return holdStop(at, stop)
  if (stop.savepoint !== undefined || stop.drain) return stay(at.state, answerStop(stop, refusal(stop)))
  const asked: At = { ...at, state: holdStop(at, stop).state }
  const message =
    lastCheckpoint === undefined
      ? 'stopped before its first checkpoint'
      : `stopped while not running; checkpoint ${lastCheckpoint.id} is the newest`
  return close(asked, { outcome: { status: 'Suspended', committedUpTo: 0 }, message, waits })
}

function refusal(stop: StopRequest): StopOutcome {
  const what = stop.drain ? 'drained' : 'stopped with a savepoint'
  const error = new WeirError(
    'CKP_DECLINED',
    `The job cannot be ${what} now: ${FAILURE_REASONS.NOT_ALL_REQUIRED_TASKS_RUNNING.text} ` +
      '(NOT_ALL_REQUIRED_TASKS_RUNNING). Ask again when it runs, or stop it with a checkpoint.',
    { context: { reason: 'NOT_ALL_REQUIRED_TASKS_RUNNING' } },
  )
  return { kind: 'failed', error: toErrorData(error) }
}

export const answerStop = (stop: StopRequest, outcome: StopOutcome): JobEffect => ({
  type: 'answerStop',
  stop,
  outcome,
})

/** What a stop is told of a run that has ended. */
export const outcomeOf = (outcome: RunOutcome): StopOutcome =>
  outcome.status === 'Failed'
    ? { kind: 'failed', error: outcome.error }
    : { kind: 'closed', status: outcome.status }

/** `stops`, all of them waiting, fail with `error`. */
export function failStops(state: JobState, stops: readonly StopRequest[], error: ErrorData): Transition {
  const effects = stops.map((stop) => answerStop(stop, { kind: 'failed', error }))
  return { state: { ...state, stops: state.stops.filter((stop) => !stops.includes(stop)) }, effects }
}

/** The stops that waited are asked for again, now that it is known how the run continues. */
export function raiseStops({ state, effects, raised = [] }: Transition): Transition {
  const stops = state.stops.map((stop) => ({ type: 'StopRequested', stop }) as const)
  return { state: { ...state, stops: [] }, effects, raised: [...raised, ...stops] }
}
