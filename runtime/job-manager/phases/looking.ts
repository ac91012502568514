/** Looking: what runs already? All of it is adopted; else the job is deployed. */
import type { CheckpointId } from '#runtime/contract/ids'
import { decideAdoption } from '../adoption.ts'
import { newAttempt, type Attempt } from '../attempt.ts'
import type { At, Handlers, Transition } from '../job-event.ts'
import type { PhaseOf, Stopping } from '../job-phase.ts'
import { deployOrWait, enter, stay, timer, toAttempt } from '../job-steps.ts'
import { holdStop, raiseStops } from '../job-stops.ts'
import { run } from './running.ts'

type Looking = PhaseOf<'Looking'>

function lookOn(at: At<Looking>, answers: Looking['answers'], limitPassed = false): Transition {
  const { settings, moment, state } = at
  const { plan, run: ownRun, expectedSlots } = settings
  const { deploy, ending } = moment.log
  const answered = state.members.flatMap((m) =>
    answers.has(m.key) ? [{ slots: m.slots, report: answers.get(m.key) }] : [],
  )
  const isEnding = ending !== undefined
  const decision = decideAdoption({ plan, run: ownRun, deploy, isEnding, expectedSlots, answers: answered })
  if (decision.kind === 'wait' && !limitPassed) return stay({ ...state, phase: { ...at.phase, answers } })
  if (decision.kind !== 'adopt') {
    const why =
      decision.kind === 'deploy' ? decision.why : 'not every TaskManager has said in time what it runs'
    return raiseStops(deployOrWait(at, why))
  }
  const attempt = newAttempt(decision.attempt, decision.places, state.members)
  return isEnding ? adoptToEnd(at, attempt, ending) : adopt(at, attempt, decision.highestCheckpointId)
}

const adoptCommand = ({ settings: { epoch } }: At, attempt: Attempt) =>
  toAttempt(attempt, { type: 'adopt', epoch, attempt: attempt.id })

const adoptedText = ({ settings: { epoch } }: At, { id }: Attempt): string =>
  `attempt ${id} goes on under epoch ${epoch}`

function adopt(at: At<Looking>, attempt: Attempt, highestId: CheckpointId): Transition {
  const started = { attempt: attempt.id, isRestored: false, highestId }
  const message = `running; ${adoptedText(at, attempt)}`
  const effects = [adoptCommand(at, attempt), { type: 'startCoordinator', ...started } as const]
  return raiseStops(run(at, attempt, message, ...effects))
}

/** The run ends with what is in the log: nothing is left to do but the commits of its sinks. */
function adoptToEnd(
  at: At<Looking>,
  attempt: Attempt,
  { status: end, id }: { readonly status: Stopping['end']; readonly id: CheckpointId },
): Transition {
  const { epoch, timing } = at.settings
  const stopping: Stopping = {
    kind: 'Stopping',
    attempt,
    end,
    savepoint: undefined,
    request: undefined,
    id,
    tries: 0,
  }
  const permit = { checkpointId: id, epoch }
  return enter(
    at,
    stopping,
    `${adoptedText(at, attempt)} to commit ${id}`,
    adoptCommand(at, attempt),
    toAttempt(attempt, { type: 'complete', epoch, attempt: attempt.id, permit }),
    timer(timing.noProgressMs),
  )
}

export const LOOKING: Handlers<Looking> = {
  Reported: (at, { member, report }) => lookOn(at, new Map(at.phase.answers).set(member, report)),
  Lost: (at) => lookOn(at, at.phase.answers),
  TimeOut: (at) => lookOn(at, at.phase.answers, true),
  StopRequested: (at, { stop }) => holdStop(at, stop),
}
