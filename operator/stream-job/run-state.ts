import type { RunStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { JobFacts } from '#runtime/contract/rest'
import type { Unreachable } from '#operator/job-managers/facts-view'
import type { Observed } from './observed.ts'

/**
 * Milliseconds without a leader after which the operator does not wait for one any more, where it
 * would have to.
 */
export const LEADER_GRACE_MS = 30_000

/**
 * A JobManager that was lost, or has only just begun to listen, is told apart from one that cannot
 * be reached after this long: in it the operator has tried again.
 */
export const UNREACHABLE_GRACE_MS = 10_000

/**
 * A JobManager that lives, as its readiness probe says, and that the operator cannot reach although
 * it does: the job may well run. One that does not live is no leader, and nothing more.
 */
export function unreachableJobManager(o: Observed): Unreachable | undefined {
  return o.facts.unreachable.find(({ pod, forMs }) => {
    const readySince = readySinceOf(o, pod)
    return readySince !== undefined && Math.min(forMs, o.now - readySince) >= UNREACHABLE_GRACE_MS
  })
}

/** A JobManager that lives does not answer the operator, for however short a time. */
export const isLost = (o: Observed): boolean =>
  o.facts.unreachable.some(({ pod }) => readySinceOf(o, pod) !== undefined)

const readySinceOf = (o: Observed, pod: string): number | undefined =>
  o.jobManagerPods.find((p) => p.name === pod)?.readySince

export const textOfUnreachable = ({ pod, message }: Unreachable): string =>
  `the operator cannot reach JobManager ${pod} (${message})`

/** Number of the current run; 0: the job has never run. */
export const runNumber = (o: Observed): number => Number(o.status.runId ?? 0)

/** The run under way: one that has not ended. */
export function activeRun(o: Observed): RunStatus | undefined {
  const { run } = o.status
  return run?.outcome === undefined ? run : undefined
}

/** Facts of the leader, if they are of the current run. */
export function currentFacts(o: Observed): JobFacts | undefined {
  return o.facts.facts?.run === runNumber(o) ? o.facts.facts : undefined
}

/**
 * The spec, its restore block or an asked-for restart wants something else than the current run was
 * made from.
 */
export function isChanged(o: Observed): boolean {
  const { run } = o.status
  if (run === undefined) return true
  return isTokenLost(o) || isSpecChanged(o, run) || isRestorePending(o) || isRestartAsked(o)
}

/** The pods of the run under way have another token than the operator. */
export const isTokenLost = (o: Observed): boolean => activeRun(o) !== undefined && o.isTokenLost

/**
 * Of a run that has ended by itself the scale is no reason for another: an autoscaler would begin
 * again what is done or has failed.
 */
function isSpecChanged({ desired }: Observed, run: RunStatus): boolean {
  const hash = hasEndedItself(run) ? desired.unscaledHash : desired.specHash
  return hash !== undefined && hash !== run.specHash
}

const hasEndedItself = ({ outcome }: RunStatus): boolean =>
  outcome === 'Finished' || outcome === 'Drained' || outcome === 'Failed'

/** Another scale is asked for of a job that has ended by itself, and that was not noted yet. */
export function isScaleToIgnore({ spec: { taskManager }, status: { run } }: Observed): boolean {
  if (run === undefined || !hasEndedItself(run)) return false
  const known = run.ignoredScale?.taskManagers ?? run.taskManagers
  return known !== undefined && known !== taskManager.replicas
}

/** The annotation has a value that no run was begun with. */
export function isRestartAsked({ restartedAt, status: { run } }: Observed): boolean {
  return restartedAt !== undefined && restartedAt !== run?.restartedAt
}

/** Whether the operator is to leave the job alone. */
export const isPaused = ({ reconcile }: Observed): boolean => reconcile === 'Disabled'

/** The restore block has not acted yet, and the current run does not apply it either. */
function isRestorePending(o: Observed): boolean {
  return (
    o.restoreHash !== undefined &&
    o.restoreHash !== o.status.restoreHash &&
    o.restoreHash !== o.status.run?.restoreHash
  )
}

/** Whether the current run, ended or not, is to be followed by another. */
export function wantsNewRun(o: Observed): boolean {
  switch (o.spec.state) {
    case 'Suspended':
      return false
    case 'Drained':
      return wantsRunToDrain(o)
    case 'Running':
      return wantsRunToRun(o)
  }
}

/**
 * To drain, a stopped job is started once more: only a running one can bring event time to its end.
 */
function wantsRunToDrain({ status: { run } }: Observed): boolean {
  return run?.outcome === 'Suspended' || run?.outcome === 'Superseded'
}

function wantsRunToRun(o: Observed): boolean {
  const { run } = o.status
  if (run?.outcome === undefined || run.outcome === 'Finished') return isChanged(o)
  if (run.outcome === 'Failed') return isChanged(o) || isTouched(o, run)
  return true
}

/** A failed job runs again once anything of its spec but the scale is touched. */
function isTouched(o: Observed, { generation, ignoredScale }: RunStatus): boolean {
  return !isScaleToIgnore(o) && o.generation > (ignoredScale?.generation ?? generation)
}
