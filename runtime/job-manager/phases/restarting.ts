/** Restarting: what was in doubt becomes certain, then the log says where the job continues. */
import type { At, Handlers, Transition } from '../job-event.ts'
import type { Restarting } from '../job-phase.ts'
import { andThen, deployOrWait, stay } from '../job-steps.ts'
import { failStops, raiseStops, stopIdle } from '../job-stops.ts'
import { STRAYS } from './executing.ts'

function restartWhenCertain(at: At, phase: Restarting): Transition {
  const { waits, delayed } = phase
  const held: At = { ...at, state: { ...at.state, phase }, phase }
  return waits.settled && waits.logged && !delayed ? deployOrWait(held) : stay(held.state)
}

function onSettled(at: At<Restarting>): Transition {
  const { state, moment, phase } = at
  const settled: Restarting = { ...phase, failing: [], waits: { ...phase.waits, settled: true } }
  // A stop whose checkpoint is in the log is carried out, whatever failed since.
  if (moment.log.ending !== undefined) return restartWhenCertain(at, settled)
  const failed = failStops(state, phase.failing, phase.error)
  return raiseStops(andThen(at, failed, (then) => restartWhenCertain(then, settled)))
}

/** The DEPLOY record that was under way is in the log, or never will be. */
const onLogged = (at: At<Restarting>): Transition =>
  restartWhenCertain(at, { ...at.phase, waits: { ...at.phase.waits, logged: true } })

export const RESTARTING: Handlers<Restarting> = {
  ...STRAYS,
  Settled: onSettled,
  Appended: onLogged,
  Refused: onLogged,
  TimeOut: (at) => restartWhenCertain(at, { ...at.phase, delayed: false }),
  StopRequested: (at, { stop }) => stopIdle(at, stop, at.phase.waits),
}
