import type { RunStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { Observed, Workload } from '../observed.ts'
import type { Policy, Step } from '../plan.ts'
import { isScaleToIgnore, runNumber } from '../run-state.ts'

/** The run has ended and no other is wanted: its pods go. */
export const releaseRun: Policy = (o) => {
  const { run } = o.status
  if (run?.outcome === undefined) return undefined
  return {
    policy: 'releaseRun',
    message: `run ${runNumber(o)} is ${run.outcome}`,
    steps: [...releaseSteps(o), ...(isScaleToIgnore(o) ? ignoreScale(o, run) : [])],
  }
}

/** Said once. */
function ignoreScale({ generation, spec }: Observed, run: RunStatus): Step[] {
  const { replicas } = spec.taskManager
  const message =
    `The job is ${run.outcome}: ${replicas} TaskManagers are made when it runs again ` +
    '(a changed spec, or annotation weir.dev/restartedAt).'
  const ignoredScale = { taskManagers: replicas, generation }
  return [
    { kind: 'writeStatus', status: { run: { ...run, ignoredScale } } },
    { kind: 'event', type: 'Warning', reason: 'ScaleIgnored', message },
  ]
}

/** A failed job keeps its JobManagers: their logs and their REST say what happened. */
export function releaseSteps(o: Observed): Step[] {
  const isFailed = o.status.run?.outcome === 'Failed' && o.spec.state === 'Running'
  return [
    ...o.taskManagers.map((w) => remove('ReplicaSet', w)),
    ...(o.jobManager === undefined || isFailed ? [] : [remove('Deployment', o.jobManager)]),
  ]
}

const remove = (resource: 'ReplicaSet' | 'Deployment', { name, uid }: Workload): Step => ({
  kind: 'delete',
  resource,
  name,
  uid,
})
