/**
 * What to do for a StreamJob. Pure: from what was observed to a plan, by an ordered list of
 * policies of which the first that has something to say decides.
 *
 *   1 noteResolved what a run uses is not on record        -> write it
 *   2 noteOutcome  the job says that its run has ended     -> write the outcome
 *   3 checkRun     a run works and another is to replace it -> the next one is checked in a pod
 *   4 stopRun      the run has to end (spec.state, new run) -> ask it to stop, wait until it has,
 *                  give up after a limit
 *   5 beginRun     no run is under way and one is wanted    -> write the number of the next run,
 *                  then make its objects
 *   6 keepRun      a run is under way                       -> its objects exist and have the
 *                  wanted size
 *   7 releaseRun   the run has ended                        -> its pods are gone
 *
 * I1 The number of a run, and what it uses, are written to the status before anything of it is
 *    made; the outcome before anything of it is taken away.
 * I2 No step waits. Waiting is a plan without steps, until facts, an object or the clock change.
 * A job whose annotation weir.dev/reconcile is Disabled is only looked at: policies 1 and 2 act.
 *
 * I3 Nothing here protects the state of the job: the commit log does, by run and epoch. A run that
 *    ends without a stop costs replay, never data.
 */
import type { Observed } from './observed.ts'
import type { Plan, Policy } from './plan.ts'
import { beginRun } from './policies/begin-run.ts'
import { checkRun } from './policies/check-run.ts'
import { keepRun } from './policies/keep-run.ts'
import { noteOutcome } from './policies/note-outcome.ts'
import { noteResolved } from './policies/note-resolved.ts'
import { releaseRun } from './policies/release-run.ts'
import { stopRun } from './policies/stop-run.ts'
import { isPaused } from './run-state.ts'

const POLICIES: readonly Policy[] = [
  noteResolved,
  noteOutcome,
  checkRun,
  stopRun,
  beginRun,
  keepRun,
  releaseRun,
]

export function decide(o: Observed): Plan {
  const plan = firstPlan(o)
  return isPaused(o) ? paused(plan) : plan
}

/** What is only written down is written down still; nothing else is done. */
function paused(plan: Plan): Plan {
  switch (plan.policy) {
    case 'noteResolved':
    case 'noteOutcome':
      return plan
    case 'checkRun':
    case 'stopRun':
    case 'beginRun':
      return { policy: 'paused', message: plan.message, held: plan.message, steps: [] }
    default: {
      const { message, blocker } = plan
      return { policy: 'paused', message, steps: [], ...(blocker === undefined ? {} : { blocker }) }
    }
  }
}

function firstPlan(o: Observed): Plan {
  for (const policy of POLICIES) {
    const plan = policy(o)
    if (plan !== undefined) return plan
  }
  return { policy: 'nothing', message: 'no run is wanted and none exists', steps: [] }
}
