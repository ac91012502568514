import { parseDuration } from '#runtime/base/units'
import { findCondition } from '#operator/api/conditions'
import type { RunStatus } from '#operator/api/v1alpha1/stream-job-status'
import { activeRun } from './run-state.ts'
import type { Observed } from './observed.ts'
import type { View } from './view.ts'

/**
 * Whether a job that is not ready has used up `spec.upgrade.deadline`: it was not ready for so long
 * in one piece, or its run has been under way for so long beyond a checkpoint interval and has
 * completed no checkpoint. The second is for runs that come up again and again and fail each time.
 * A run that has been asked to stop has limits of its own.
 */
export function isPastDeadline(view: View): boolean {
  const { o, plan } = view
  const run = activeRun(o)
  if (run?.stopRequestedAt !== undefined) return false
  const deadlineMs = parseDuration(o.spec.upgrade.deadline)
  if (o.now - Math.max(notReadySince(o), startOf(run)) >= deadlineMs) return true
  if (run === undefined || plan.policy === 'stopRun' || hasCheckpoint(view, run)) return false
  return o.now - startOf(run) >= parseDuration(o.spec.checkpoint.interval) + deadlineMs
}

const startOf = (run: RunStatus | undefined): number => (run === undefined ? 0 : Date.parse(run.startedAt))

/** Milliseconds since the epoch; now where the status does not say that it is not ready. */
export function notReadySince({ status, now }: Observed): number {
  const ready = findCondition(status.conditions, 'Ready')
  const isKnown = ready !== undefined && ready.status !== 'True' && ready.reason !== 'Pending'
  return isKnown ? Date.parse(ready.lastTransitionTime) : now
}

/** The run itself has completed one; the one that it started from is older. */
function hasCheckpoint({ o, facts }: View, run: RunStatus): boolean {
  const completedAt =
    facts?.checkpoint.last?.completedAt ?? Date.parse(o.status.lastCheckpoint?.completedAt ?? '')
  return completedAt > startOf(run)
}
