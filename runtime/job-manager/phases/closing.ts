/** Closing and Closed: the log decides how the run has ended, and whoever waits is told. */
import type { At, Handlers, JobEventOf, Transition } from '../job-event.ts'
import type { Closing, PhaseOf } from '../job-phase.ts'
import { appendClose, cancel, enter, retryDelay, stay, timer } from '../job-steps.ts'
import { answerStop, holdStop, outcomeOf } from '../job-stops.ts'
import { STRAYS } from './executing.ts'

function closeWhenCertain(at: At<Closing>, waits: Closing['waits']): Transition {
  const phase: Closing = { ...at.phase, waits }
  return appendClose({ ...at, state: { ...at.state, phase }, phase }, phase)
}

function onAppended(at: At<Closing>, { kind }: JobEventOf<'Appended'>): Transition {
  if (kind === 'DEPLOY') return closeWhenCertain(at, { ...at.phase.waits, logged: true })
  const { phase, state } = at
  const { outcome, attempt } = phase
  return enter(
    { ...at, state: { ...state, stops: [] } },
    { kind: 'Closed', outcome },
    state.message,
    ...(attempt === undefined ? [] : [cancel(at, attempt, state.message)]),
    ...state.stops.map((stop) => answerStop(stop, outcomeOf(outcome))),
    { type: 'closed', status: outcome.status },
  )
}

function onRefused(at: At<Closing>, { kind, error }: JobEventOf<'Refused'>): Transition {
  if (kind === 'DEPLOY') return closeWhenCertain(at, { ...at.phase.waits, logged: true })
  const phase: Closing = { ...at.phase, tries: at.phase.tries + 1 }
  const message = `cannot write the end of the run to the log, trying again: ${error.message}`
  return stay({ ...at.state, phase, message, error }, timer(retryDelay(at, phase.tries)))
}

export const CLOSING: Handlers<Closing> = {
  Settled: (at) => closeWhenCertain(at, { ...at.phase.waits, settled: true }),
  Appended: onAppended,
  Refused: onRefused,
  TimeOut: (at) => closeWhenCertain(at, at.phase.waits),
  StopRequested: (at, { stop }) => holdStop(at, stop),
}

export const CLOSED: Handlers<PhaseOf<'Closed'>> = {
  ...STRAYS,
  StopRequested: (at, { stop }) => stay(at.state, answerStop(stop, outcomeOf(at.phase.outcome))),
}

/** The term is over: nobody here can say any more how the run continues. */
export const OVER: Handlers<PhaseOf<'Over'>> = {
  StopRequested: (at, { stop }) =>
    stay(at.state, answerStop(stop, { kind: 'failed', error: at.phase.error })),
}
