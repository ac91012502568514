import type { RunOutcome, RunStatus } from '#operator/api/v1alpha1/stream-job-status'
import { isFinal, type JobFacts } from '#runtime/contract/rest'
import { names } from '#operator/resources/names'
import type { Observed } from '../observed.ts'
import type { Policy, Step, StepOf } from '../plan.ts'
import { activeRun, currentFacts, runNumber } from '../run-state.ts'
import { noteRestore } from './keep-run.ts'
import { savepointPath, stopMode, stopTrigger } from './stop-request.ts'

/** The job says that its run has ended: what it ended as is written down. */
export const noteOutcome: Policy = (o) => {
  const run = activeRun(o)
  const facts = currentFacts(o)
  const outcome = facts && outcomeOf(facts, o)
  if (run === undefined || facts === undefined || outcome === undefined) return undefined
  const message = facts.error?.message ?? facts.message
  return {
    policy: 'noteOutcome',
    message: `the job is ${facts.state}`,
    steps: [
      ...noteRestore(o, facts),
      ...stopSavepoint(o, facts),
      { kind: 'writeStatus', status: { run: ended(run, outcome, message) } },
      ...(outcome === 'Failed' ? [] : [endEvent(runNumber(o), outcome, message)]),
    ],
    requeueAfterMs: 0,
  }
}

function outcomeOf({ state }: JobFacts, o: Observed): RunOutcome | undefined {
  if (!isFinal(state)) return undefined
  return state === 'Suspended' && o.spec.state !== 'Suspended' ? 'Superseded' : state
}

/**
 * A run that was stopped with a savepoint leaves a Savepoint object behind that belongs to the
 * user.
 */
function stopSavepoint(o: Observed, facts: JobFacts): Step[] {
  if (stopMode(o) !== 'savepoint' || o.status.run?.stopRequestedAt === undefined) return []
  const operation = facts.operations.find((op) => op.triggerId === stopTrigger(o))
  if (operation?.status !== 'Completed' || operation.path === undefined) return [savepointMissing(o)]
  const trigger = o.spec.state === 'Running' ? 'Upgrade' : 'Suspend'
  return [
    {
      kind: 'createSavepoint',
      name: names.stopSavepoint(o.job.name, o.job.uid, runNumber(o), trigger),
      path: operation.path,
      trigger,
      taken: operation,
    },
  ]
}

function savepointMissing(o: Observed): StepOf<'event'> {
  const path = savepointPath(o)
  const where = path === undefined ? '' : ` If one was, it is at ${path}.`
  const message =
    `Run ${runNumber(o)} was to be stopped with a savepoint and has ended, ` +
    `and no JobManager says that one was completed.${where}`
  return { kind: 'event', type: 'Warning', reason: 'SavepointMissing', message }
}

export function ended(run: RunStatus, outcome: RunOutcome, message: string): RunStatus {
  return { ...run, outcome, outcomeMessage: message.slice(0, 4000) }
}

function endEvent(number: number, outcome: RunOutcome, message: string): Step {
  return {
    kind: 'event',
    type: 'Normal',
    reason: 'RunEnded',
    message: `Run ${number} is ${outcome}${message === '' ? '' : `: ${message}`}.`,
  }
}
