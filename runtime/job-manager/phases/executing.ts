/** What the phases share in which an attempt is under way; and what others do about strays. */
import type { AttemptId } from '#runtime/contract/ids'
import { uses, type Attempt } from '../attempt.ts'
import type { At, Handlers, JobEventOf, Transition } from '../job-event.ts'
import { attemptOf, type Deploying, type Phase, type PhaseOf, type Stopping } from '../job-phase.ts'
import { fail, failureOf, lost, stay } from '../job-steps.ts'

type Executing = Deploying | PhaseOf<'Running'> | Stopping

function onLost(at: At<Executing>, { member, why, silentMs }: JobEventOf<'Lost'>): Transition {
  const { attempt } = at.phase
  if (!uses(attempt, member)) return stay(at.state)
  const id = nameOf(attempt, member)
  return fail(at, lost(`TaskManager ${id} was lost: ${why}`, { taskManager: id, detectMs: silentMs }))
}

function onTaskFailed(at: At<Executing>, event: JobEventOf<'TaskFailed'>): Transition {
  if (event.attempt !== at.phase.attempt.id) return stay(at.state)
  const { error, subtask, member } = event
  const taskManager = nameOf(at.phase.attempt, member)
  return fail(at, failureOf(error, { subtask, taskManager }))
}

/** A TaskManager that was deployed says what it runs: another attempt, or none, is a failure. */
export function onRuns(at: At<Executing>, member: string, attempt: AttemptId | undefined): Transition {
  const { phase, state } = at
  if (attempt === phase.attempt.id) return stay(state)
  if (!uses(phase.attempt, member)) return cancelStray(at, member, attempt)
  if (phase.kind === 'Deploying' && !phase.deployed.has(member)) return stay(state)
  const id = nameOf(phase.attempt, member)
  const what = attempt === undefined ? 'nothing' : `attempt ${attempt}`
  const text = `TaskManager ${id} runs ${what} instead of attempt ${phase.attempt.id}`
  return fail(at, lost(text, { taskManager: id }))
}

/**
 * A TaskManager that was away (stopped, partitioned) may come back with tasks of an attempt that is
 * over. They can do no harm; they only waste its slots.
 */
function cancelStray(at: At, member: string, attempt: AttemptId | undefined): Transition {
  if (attempt === undefined) return stay(at.state)
  const why = `attempt ${attemptOf(at.phase)?.id ?? 'none'} is current`
  const message = { type: 'cancel', epoch: at.settings.epoch, attempt, why } as const
  return stay(at.state, { type: 'send', members: [member], message })
}

export const nameOf = (attempt: Attempt, member: string): string =>
  [...attempt.members].find(([, key]) => key === member)?.[0] ?? member

export const EXECUTING = {
  Lost: onLost,
  TaskFailed: onTaskFailed,
  Heartbeat: (at: At<Executing>, { member, attempt }: JobEventOf<'Heartbeat'>) => onRuns(at, member, attempt),
  Reported: (at: At<Executing>, { member, report }: JobEventOf<'Reported'>) =>
    onRuns(at, member, report?.attempt),
  FailureLimit: (at: At<Executing>, { error }: JobEventOf<'FailureLimit'>) => fail(at, failureOf(error)),
} satisfies Handlers<Executing>

/** Of phases in which nothing ought to run. */
export const STRAYS: Handlers<Phase> = {
  Heartbeat: (at, { member, attempt }) => cancelStray(at, member, attempt),
}
