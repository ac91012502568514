import type { ConditionValue, Reason } from '#operator/api/conditions'
import type { RunOutcome } from '#operator/api/v1alpha1/stream-job-status'
import type { JobFacts, JobState } from '#runtime/contract/rest'
import type { Unreachable } from '#operator/job-managers/facts-view'
import { isPastDeadline } from './deadline.ts'
import type { Observed } from './observed.ts'
import { textOfUnreachable, unreachableJobManager } from './run-state.ts'
import { type View, wasRunning } from './view.ts'

/** What Ready says, and what Reconciling, Stalled and Complete follow from. */
interface Summary {
  readonly status: ConditionValue['status']
  readonly reason: Reason
  readonly message: string
  /** Somebody has to change something. */
  readonly isStalled?: boolean
  readonly isComplete?: boolean
}

export function readyConditions(view: View): ConditionValue[] {
  const { status, reason, message, isStalled = false, isComplete = false } = summary(view)
  const isReady = status === 'True'
  const isLate = !isReady && !isStalled && isPastDeadline(view)
  return [
    { type: 'Ready', status, reason, message },
    reconciling({ reason, message }, isReady, isStalled || isLate),
    isStalled || isLate
      ? { type: 'Stalled', status: 'True', ...(isLate ? late(view, reason, message) : { reason, message }) }
      : { type: 'Stalled', status: 'False', reason: 'Progressing', message: 'Nothing stands in the way.' },
    isComplete
      ? { type: 'Complete', status: 'True', reason, message }
      : { type: 'Complete', status: 'False', reason, message: 'The job has not ended.' },
  ]
}

type Why = Pick<ConditionValue, 'reason' | 'message'>

function reconciling(why: Why, isReady: boolean, isStalled: boolean): ConditionValue {
  const type = 'Reconciling'
  if (isReady) return { type, status: 'False', reason: 'UpToDate', message: 'Nothing is left to do.' }
  return { type, status: isStalled ? 'False' : 'True', ...why }
}

/** Reasons that say what a job does, and not what is wrong. */
const NO_CAUSE: ReadonlySet<Reason> = new Set([
  'Starting',
  'WaitingForSlots',
  'Restarting',
  'NoLeader',
  'Checking',
  'Stopping',
])

const late = ({ o }: View, reason: Reason, message: string): Why => ({
  reason: NO_CAUSE.has(reason) ? 'DeadlineExceeded' : reason,
  message: `Not ready within ${o.spec.upgrade.deadline} (spec.upgrade.deadline). ${message}`,
})

const notReady = (reason: Reason, message: string): Summary => ({ status: 'False', reason, message })

function summary(view: View): Summary {
  const { plan, problem } = view
  if (plan.held !== undefined) return held(plan.held)
  if (problem !== undefined)
    return { ...notReady(problem.reason, problem.message), isStalled: problem.needsUser }
  return ofRun(view)
}

function ofRun({ o, plan, facts }: View): Summary {
  if (plan.policy === 'beginRun') return notReady('Starting', `Run ${o.status.runId ?? ''} is being made.`)
  const { run } = o.status
  if (run?.outcome !== undefined) return ended(o, run.outcome, run.outcomeMessage ?? '')
  if (run === undefined) return neverRan(o)
  if (plan.policy === 'checkRun') return notReady('Checking', `${capitalized(plan.message)}.`)
  if (plan.policy === 'stopRun' || o.spec.state !== 'Running') return stopping(o, facts, plan.message)
  return running(o, facts)
}

function held(what: string): Summary {
  const message = `${capitalized(what)}; nothing is done while annotation weir.dev/reconcile is Disabled.`
  return { ...notReady('ReconciliationPaused', message), isStalled: true }
}

const capitalized = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`

/** What is said of an ended run that left no message. */
const ENDED: Readonly<Record<RunOutcome, string>> = {
  Finished: 'All sources have ended.',
  Drained: 'The job was drained.',
  Failed: 'The job failed.',
  Suspended: 'The job is suspended.',
  Superseded: 'The job is suspended.',
}

function ended(o: Observed, outcome: RunOutcome, said: string): Summary {
  const message = said || ENDED[outcome]
  switch (outcome) {
    case 'Finished':
    case 'Drained':
      return { status: 'True', reason: outcome, message, isComplete: true }
    case 'Failed':
      return { ...notReady('JobFailed', message), isStalled: true }
    case 'Suspended':
    case 'Superseded':
      return o.spec.state === 'Suspended'
        ? { status: 'True', reason: 'Suspended', message }
        : notReady('Starting', 'The next run is being made.')
  }
}

function neverRan({ spec: { state } }: Observed): Summary {
  switch (state) {
    case 'Suspended':
      return { status: 'True', reason: 'Suspended', message: 'The job has never run.' }
    case 'Drained': {
      const message = 'The job has never run, so there is nothing to drain.'
      return { status: 'True', reason: 'Drained', message, isComplete: true }
    }
    case 'Running':
      return notReady('Starting', 'The first run is being made.')
  }
}

function stopping(o: Observed, facts: JobFacts | undefined, why: string): Summary {
  const message = `${capitalized(why)}.${problemOf(o)}`
  const isUnreachable = facts === undefined && unreachableJobManager(o) !== undefined
  return notReady(isUnreachable ? 'JobManagerUnreachable' : 'Stopping', message)
}

const problemOf = ({ podProblem }: Observed): string =>
  podProblem === undefined ? '' : ` ${podProblem.message}`

function running(o: Observed, facts: JobFacts | undefined): Summary {
  if (facts?.state === 'Running') {
    const taskManagers = `${facts.taskManagers} TaskManager${facts.taskManagers === 1 ? '' : 's'}`
    const message = `Runs with parallelism ${facts.parallelism} on ${taskManagers}.`
    return { status: 'True', reason: 'Running', message }
  }
  const lost = facts === undefined ? unreachableJobManager(o) : undefined
  if (lost !== undefined) return unreachable(o, lost)
  if (o.podProblem !== undefined) return notReady(o.podProblem.reason, o.podProblem.message)
  return facts === undefined ? leaderless(o) : notRunning(facts)
}

function notRunning({ state, message, error }: JobFacts): Summary {
  const text = error === undefined ? message : withError(message, error.message)
  return notReady(REASONS[state] ?? 'Starting', text || `The job is ${state}.`)
}

function unreachable(o: Observed, lost: Unreachable): Summary {
  const message = `Whether the job runs is not known: ${textOfUnreachable(lost)}.${problemOf(o)}`
  return { status: 'Unknown', reason: 'JobManagerUnreachable', message }
}

/** Many messages end in the error already. */
const withError = (message: string, error: string): string =>
  message.includes(error) ? message : `${message} (${error})`

const REASONS: Readonly<Partial<Record<JobState, Reason>>> = {
  WaitingForSlots: 'WaitingForSlots',
  Restarting: 'Restarting',
}

function leaderless(o: Observed): Summary {
  const why = o.facts.obstacle === undefined ? '' : ` ${o.facts.obstacle.message}`
  return wasRunning(o)
    ? notReady('NoLeader', `No JobManager leads at the moment.${why}`)
    : notReady('Starting', `Waiting for a JobManager to lead.${why}`)
}
