import type { RunNumber } from '#runtime/contract/ids'
import type { Loose } from '#operator/api/compact'
import type { RunStatus, StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { names } from '#operator/resources/names'
import type { Blocker, Desired, Observed, RestoreSource } from '../observed.ts'
import type { Plan, Policy, Step } from '../plan.ts'
import { activeRun, runNumber, wantsNewRun } from '../run-state.ts'
import { deleteChecks, deleteOtherTaskManagers } from './keep-run.ts'
import { releaseSteps } from './release-run.ts'

const BLOCKED_RETRY_MS = 10_000
const LOOK_AGAIN_MS = 5000

/** No run is under way and one is wanted: its number is written down, then its objects are made. */
export const beginRun: Policy = (o) => {
  if (activeRun(o) !== undefined || !wantsNewRun(o)) return undefined
  const { desired, status } = o
  if (desired.kind === 'blocked') return blockedBy(desired.blocker, o)
  const source = appliedRestore(o, desired) === undefined ? undefined : o.restoreSource
  if (source?.isAwaited === true) return blockedBy(awaitingLeader(source), o)
  const number = runNumber(o) + 1
  return {
    policy: 'beginRun',
    message:
      status.run === undefined ? 'the job has never run' : `run ${number - 1} is ${status.run.outcome}`,
    steps: [
      ...pinSteps(o, desired, source),
      { kind: 'writeStatus', status: statusOfRun(o, desired) },
      ...deleteOtherTaskManagers(o, number),
      ...deleteChecks(o),
      { kind: 'ensureRun', run: number },
      ...(number > 1 ? [deleteConfig(o, number - 1)] : []),
      ...notAsked(source),
      startEvent(o, desired),
    ],
    requeueAfterMs: LOOK_AGAIN_MS,
  }
}

const blockedBy = (blocker: Blocker, o: Observed): Plan => ({
  policy: 'beginRun',
  message: blocker.message,
  steps: releaseSteps(o),
  blocker,
  requeueAfterMs: BLOCKED_RETRY_MS,
})

const awaitingLeader = ({ name }: RestoreSource): Blocker => ({
  reason: 'RestoreNotReady',
  message: `Waiting for a leader of StreamJob ${name}, which is asked to keep the checkpoint to start from.`,
  needsUser: false,
})

/** Before anything of the run is made: where the checkpoint is gone already, no run begins. */
function pinSteps({ job }: Observed, { restore }: Ready, source: RestoreSource | undefined): Step[] {
  const { namespace, name, uid } = job
  const [address, path] = [source?.leader, restore?.path]
  if (address === undefined || path === undefined) return []
  return [{ kind: 'pinSource', address, request: { path, by: `${namespace}/${name}/${uid}` } }]
}

function notAsked(source: RestoreSource | undefined): Step[] {
  if (source?.isSilent !== true) return []
  const message =
    `StreamJob ${source.name} was not asked to keep the checkpoint that the run starts from, ` +
    'as the operator hears no leader of it: the checkpoint may be gone before it is read.'
  return [{ kind: 'event', type: 'Warning', reason: 'SourceNotAsked', message }]
}

type Ready = Extract<Desired, { kind: 'ready' }>

const imageOf = (o: Observed): string => o.spec.image ?? o.defaultImage

/** The restore block, if this run is to apply it. */
const appliedRestore = (o: Observed, { restore }: Ready) =>
  restore?.hash === o.status.restoreHash ? undefined : restore

/** Facts of the run before say nothing about this one, so they are left out. */
function statusOfRun(o: Observed, desired: Ready): Loose<StreamJobStatus> {
  const restore = appliedRestore(o, desired)
  const restartedAt = o.restartedAt ?? o.status.run?.restartedAt
  const run: RunStatus = {
    specHash: desired.specHash,
    generation: o.generation,
    startedAt: new Date(o.now).toISOString(),
    taskManagers: o.spec.taskManager.replicas,
    ...(restore === undefined ? {} : { restoreHash: restore.hash }),
    ...(restartedAt === undefined ? {} : { restartedAt }),
  }
  return {
    ...o.status,
    attempt: undefined,
    restoredFrom: undefined,
    leader: undefined,
    parallelism: undefined,
    runId: String(runNumber(o) + 1),
    run,
    image: imageOf(o),
    resolved: desired.resolved,
    restarts: 0,
  }
}

function deleteConfig({ job: { name, uid } }: Observed, run: RunNumber): Step {
  return { kind: 'delete', resource: 'ConfigMap', name: names.runConfig(name, uid, run) }
}

function startEvent(o: Observed, desired: Ready): Step {
  const restore = appliedRestore(o, desired)
  const from = restore === undefined ? '' : `, restoring from ${restore.path ?? 'nothing (empty)'}`
  const run = `Run ${runNumber(o) + 1} of generation ${o.generation}`
  const message = `${run} with image ${imageOf(o)}${from}.`
  return { kind: 'event', type: 'Normal', reason: 'RunStarted', message }
}
