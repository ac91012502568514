import { findCondition } from '#operator/api/conditions'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { JobFacts } from '#runtime/contract/rest'
import type { Blocker, Observed } from './observed.ts'
import type { Plan } from './plan.ts'
import { activeRun, currentFacts, isLost, LEADER_GRACE_MS, unreachableJobManager } from './run-state.ts'

/** What the status is computed from. */
export interface View {
  readonly o: Observed
  readonly plan: Plan
  /** Of the current run. */
  readonly facts: JobFacts | undefined
  readonly waits: StreamJobStatus['waits']
  readonly problem: Blocker | undefined
}

/**
 * What was written last is the best that is known: after the operator's own start, as the streams
 * of facts need a moment, and for a moment after they were cut off from a JobManager that lives,
 * until it is either heard again or out of reach.
 */
export function isUnknownYet(o: Observed): boolean {
  return (isUnheard(o) || isJustLost(o)) && isUnchanged(o) && o.podProblem === undefined
}

const isJustLost = (o: Observed): boolean =>
  activeRun(o) !== undefined &&
  currentFacts(o) === undefined &&
  isLost(o) &&
  unreachableJobManager(o) === undefined

const isUnheard = (o: Observed): boolean =>
  activeRun(o) !== undefined &&
  !o.facts.hasAnswered &&
  o.jobManagerPods.some((p) => p.hasAddress) &&
  o.facts.leaderlessMs < LEADER_GRACE_MS

const isUnchanged = (o: Observed): boolean =>
  o.status.observedGeneration === o.generation &&
  findCondition(o.status.conditions, 'Ready')?.status === 'True'

/** The status says that the run was running before. */
export const wasRunning = ({ status: { phase } }: Observed): boolean =>
  phase === 'Running' || phase === 'Restarting'
