import type { RunOutcome, StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { JobState } from '#runtime/contract/rest'
import type { Observed } from './observed.ts'
import { unreachableJobManager } from './run-state.ts'
import { isUnknownYet, type View, wasRunning } from './view.ts'

type Phase = NonNullable<StreamJobStatus['phase']>

/** One word for people, derived; nothing depends on it. */
export function phaseOf(view: View): Phase {
  const { run } = view.o.status
  if (run === undefined) return view.o.spec.state === 'Suspended' ? 'Suspended' : 'Starting'
  return run.outcome === undefined ? phaseOfActive(view) : phaseOfEnded(view, run.outcome)
}

function phaseOfEnded({ o, plan }: View, outcome: RunOutcome): Phase {
  if (outcome === 'Suspended' || outcome === 'Superseded')
    return o.spec.state === 'Suspended' ? 'Suspended' : 'Upgrading'
  return plan.policy === 'beginRun' && plan.blocker === undefined ? 'Upgrading' : outcome
}

function phaseOfActive({ o, plan, facts }: View): Phase {
  if (plan.policy === 'stopRun' && o.spec.state === 'Running') return 'Upgrading'
  if (isUnknownYet(o) || (facts === undefined && unreachableJobManager(o) !== undefined))
    return o.status.phase ?? 'Starting'
  if (facts === undefined) return wasRunning(o) ? 'Restarting' : 'Starting'
  return phaseOfState(o, facts.state, facts.restarts)
}

function phaseOfState(o: Observed, state: JobState, restarts: number): Phase {
  if (state === 'Running' || state === 'Stopping') return 'Running'
  return state === 'Restarting' || restarts > 0 || wasRunning(o) ? 'Restarting' : 'Starting'
}
