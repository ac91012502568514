import type { RunStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { Observed, Workload } from '../observed.ts'
import type { Policy, Step, StepOf } from '../plan.ts'
import { isRestartAsked, isScaleToIgnore, runNumber } from '../run-state.ts'

/** The run has ended and no other is wanted: its pods go. */
export const releaseRun: Policy = (o) => {
  const { run } = o.status
  if (run?.outcome === undefined) return undefined
  return {
    policy: 'releaseRun',
    message: `run ${runNumber(o)} is ${run.outcome}`,
    steps: [...releaseSteps(o), ...ignoreRequests(o, run)],
  }
}

type Ignored = Pick<RunStatus, 'ignoredScale' | 'restartedAt'>

/** What was asked of a job that has ended and is not done is written down, and so said once. */
function ignoreRequests(o: Observed, run: RunStatus): Step[] {
  const found = [ignoredScale(o, run), ignoredRestart(o, run)].filter((it) => it !== undefined)
  if (found.length === 0) return []
  const noted: RunStatus = Object.assign({ ...run }, ...found.map((it) => it.noted))
  return [{ kind: 'writeStatus', status: { run: noted } }, ...found.map((it) => it.event)]
}

interface Request {
  readonly noted: Ignored
  readonly event: StepOf<'event'>
}

function ignoredScale(o: Observed, { outcome }: RunStatus): Request | undefined {
  if (!isScaleToIgnore(o)) return undefined
  const { replicas } = o.spec.taskManager
  const message =
    `The job is ${outcome}: ${replicas} TaskManagers are made when it runs again ` +
    '(a changed spec, or annotation weir.dev/restartedAt).'
  return {
    noted: { ignoredScale: { taskManagers: replicas, generation: o.generation } },
    event: { kind: 'event', type: 'Warning', reason: 'ScaleIgnored', message },
  }
}

function ignoredRestart(o: Observed, { outcome }: RunStatus): Request | undefined {
  const { restartedAt } = o
  if (restartedAt === undefined || !isRestartAsked(o)) return undefined
  const why = `the job is ${outcome} and spec.state is ${o.spec.state}`
  const message = `No restart: ${why}. Running would begin a run by itself.`
  return {
    noted: { restartedAt },
    event: { kind: 'event', type: 'Warning', reason: 'RestartIgnored', message },
  }
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
