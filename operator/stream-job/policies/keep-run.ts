import type { RunNumber } from '#runtime/contract/ids'
import type { JobFacts } from '#runtime/contract/rest'
import { names } from '#operator/resources/names'
import type { RunStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { Observed } from '../observed.ts'
import type { Plan, Policy, Step, StepOf } from '../plan.ts'
import { activeRun, currentFacts, isChanged, runNumber } from '../run-state.ts'

const BLOCKED_RETRY_MS = 10_000
/** Nobody watches ConfigMaps, so one that holds the job's source is read again at this interval. */
const MODULE_POLL_MS = 30_000

/** A run is under way and wanted: its objects exist and have the wanted size. */
export const keepRun: Policy = (o) => {
  const run = activeRun(o)
  if (run === undefined) return undefined
  const { steps, ...how } = kept(o)
  const plan = {
    policy: 'keepRun',
    message: 'the run continues',
    steps: [...steps, ...deleteChecks(o)],
    ...how,
  } as const
  if (run.stopWantedAt === undefined) return plan
  return { ...plan, steps: [{ kind: 'writeStatus', status: { run: neverWanted(run) } }, ...plan.steps] }
}

/** Nobody waits to stop the run any more. */
export function neverWanted({ stopWantedAt: _at, ...run }: RunStatus): RunStatus {
  return run
}

/** What keeps the current run as it is. */
export function kept(o: Observed): Pick<Plan, 'steps' | 'blocker' | 'requeueAfterMs'> {
  const number = runNumber(o)
  const facts = currentFacts(o)
  const blocker = o.desired.kind === 'blocked' && isBlockerFelt(o) ? o.desired.blocker : undefined
  return {
    steps: [
      ...(facts === undefined ? [] : noteRestore(o, facts)),
      { kind: 'ensureRun', run: number },
      ...scaleSteps(o, number),
      ...leaderSteps(o),
      ...deleteOtherTaskManagers(o, number),
    ],
    ...(blocker === undefined ? {} : { blocker }),
    ...requeueOf(o, blocker !== undefined),
  }
}

function requeueOf(o: Observed, isBlocked: boolean): Pick<Plan, 'requeueAfterMs'> {
  if (isBlocked) return { requeueAfterMs: BLOCKED_RETRY_MS }
  return o.spec.job.configMapKeyRef === undefined ? {} : { requeueAfterMs: MODULE_POLL_MS }
}

/**
 * What blocks the next run matters once one is wanted. While the module is missing nobody knows
 * whether one is: a run that works and is of this generation is taken for the wanted one.
 */
function isBlockerFelt(o: Observed): boolean {
  if (o.desired.specHash !== undefined) return isChanged(o)
  return currentFacts(o)?.state !== 'Running' || o.generation !== o.status.run?.generation
}

/** Once an attempt of the run exists, the restore block has acted and the commit log knows it. */
export function noteRestore(o: Observed, facts: JobFacts): Step[] {
  const hash = o.status.run?.restoreHash
  if (hash === undefined || hash === o.status.restoreHash || facts.attempt === undefined) return []
  return [
    { kind: 'writeStatus', status: { restoreHash: hash } },
    {
      kind: 'event',
      type: 'Normal',
      reason: 'RestoreApplied',
      message: `Run ${runNumber(o)} started from ${facts.restoredFrom ?? 'nothing (empty)'}.`,
    },
  ]
}

function scaleSteps(o: Observed, number: number): Step[] {
  // Another size may need another run (parallelism unset); then the old run keeps its own until it
  // ends.
  if (o.desired.specHash !== o.status.run?.specHash) return []
  const { spec, jobManager } = o
  const taskManagers = o.taskManagers.find((w) => w.run === number)
  const steps: Step[] = []
  if (taskManagers !== undefined && taskManagers.replicas !== spec.taskManager.replicas)
    steps.push(scale('ReplicaSet', taskManagers.name, spec.taskManager.replicas))
  if (jobManager?.run === number && jobManager.replicas !== spec.jobManager.replicas)
    steps.push(scale('Deployment', jobManager.name, spec.jobManager.replicas))
  return steps
}

const scale = (resource: StepOf<'scale'>['resource'], name: string, replicas: number): Step => ({
  kind: 'scale',
  resource,
  name,
  replicas,
})

/**
 * While nobody leads the labels stay: the REST Service has no better answer than the last leader.
 */
function leaderSteps(o: Observed): Step[] {
  const leader = o.facts.leader?.pod
  if (leader === undefined) return []
  return o.jobManagerPods
    .filter((p) => p.isLeader !== (p.name === leader))
    .map((p) => ({ kind: 'labelLeader', pod: p.name, isLeader: p.name === leader }))
}

/** TaskManagers of every run but this one. */
export function deleteOtherTaskManagers(o: Observed, run: RunNumber): Step[] {
  return o.taskManagers
    .filter((w) => w.run !== run)
    .map((w) => ({ kind: 'delete', resource: 'ReplicaSet', name: w.name, uid: w.uid }))
}

/** Of every check but `id`. */
export function deleteChecks({ job, checks }: Pick<Observed, 'job' | 'checks'>, id?: string): Step[] {
  return checks
    .filter((check) => check.id !== id)
    .flatMap((check) => [
      { kind: 'delete', resource: 'Pod', name: check.pod, uid: check.uid },
      { kind: 'delete', resource: 'ConfigMap', name: names.check(job.name, check.id) },
    ])
}
