import type { Observed, Workload } from '../observed.ts'
import type { Policy, Step } from '../plan.ts'
import { runNumber } from '../run-state.ts'

/** The run has ended and no other is wanted: its pods go. */
export const releaseRun: Policy = (o) => {
  const outcome = o.status.run?.outcome
  if (outcome === undefined) return undefined
  return { policy: 'releaseRun', message: `run ${runNumber(o)} is ${outcome}`, steps: releaseSteps(o) }
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
