import { member } from '#runtime/base/member'
import type { Clock } from '#runtime/base/clock'
import type { StreamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { JobManagerWatcher } from '#operator/job-managers/watcher'
import { keyOf } from '#operator/kube/store'
import {
  ANNOTATION_RECONCILE,
  ANNOTATION_RESTARTED_AT,
  ANNOTATION_TOKEN_SECRET,
  runOf,
} from '#operator/resources/labels'
import { names } from '#operator/resources/names'
import type { KubeObject, SavepointObject, StreamJobObject } from '#operator/resources/object'
import { driftOf, storageUrl, type Resolved } from '#operator/resources/resolved'
import { jobRefOf, type JobRef } from '#operator/resources/run-context'
import { limitedScale } from '#operator/resources/scale'
import { restoreHash } from '#operator/resources/spec-hash'
import { checksOf } from './check.ts'
import { desiredRun, type DesiredContext } from './desired.ts'
import type { Observed, Workload } from './observed.ts'
import { findPodProblem } from './pod-problems.ts'
import { countTaskManagers, jobManagerPodsOf } from './pods.ts'
import { resolvedOf } from './resolved-of.ts'
import { restoreSourceOf } from './restore-source.ts'

export interface GatherContext extends DesiredContext {
  readonly jobManagers: Pick<JobManagerWatcher, 'view'>
  readonly tokenOf: (job: JobRef) => string
  readonly clock: Clock
}

/** Reads everything that a decision about a StreamJob depends on, and changes nothing. */
export async function gather(
  context: GatherContext,
  object: StreamJobObject,
  asked: StreamJobSpec,
  signal: AbortSignal,
): Promise<Observed> {
  const { stores, defaults, jobManagers, clock } = context
  const { spec, limit: scaleLimit } = limitedScale(asked)
  const job = jobRefOf(object)
  const key = keyOf(job.namespace, job.name)
  const status = object.status ?? {}
  const run = Number(status.runId ?? 0)
  const ofRun = (o: KubeObject) => runOf(o) === run
  const pods = stores.pods.indexed(key)
  const deployment = stores.deployments.indexed(key).find((d) => isOwned(d, job))
  const replicaSets = stores.replicaSets.indexed(key).filter((r) => isOwned(r, job))
  const resolved = await resolvedOf(context.client, { job, spec, status }, signal)
  const desired = await desiredRun(context, { job, spec, status, pinned: resolved }, signal)
  const restorePath = desired.kind === 'ready' ? desired.restore?.path : undefined
  const workloads = [...(deployment === undefined ? [] : [deployment]), ...replicaSets]
  return {
    object,
    job,
    generation: object.metadata.generation ?? 0,
    now: clock.now(),
    spec,
    status,
    desired,
    scaleLimit,
    ...annotated(object),
    restoreHash: restoreHash(spec.restore),
    restoreSource: restoreSourceOf(context, job, restorePath),
    facts: jobManagers.view(key),
    jobManager: deployment && workload(deployment),
    taskManagers: replicaSets.filter((r) => r.metadata.deletionTimestamp === undefined).map(workload),
    isTokenLost: workloads.filter(ofRun).some((w) => hasOtherToken(w, job, context.tokenOf(job))),
    jobManagerPods: jobManagerPodsOf(pods, run),
    taskManagerPodCount: countTaskManagers(pods),
    podProblem: findPodProblem(pods.filter(ofRun), workloads.filter(ofRun), clock.now()),
    checks: checksOf(pods, clock.now()),
    defaultImage: defaults.image,
    drifts: driftOf(job, resolved, { spec, defaults }),
    ...storageOf(job, resolved),
    lastSavepoint: lastSavepoint(stores.savepoints.indexed(key), job),
  }
}

function annotated({
  metadata: { annotations },
}: StreamJobObject): Pick<Observed, 'restartedAt' | 'reconcile'> {
  return {
    restartedAt: annotations?.[ANNOTATION_RESTARTED_AT]?.slice(0, 256),
    reconcile: annotations?.[ANNOTATION_RECONCILE],
  }
}

function storageOf(job: JobRef, resolved: Resolved | undefined): Pick<Observed, 'resolved' | 'storageUrl'> {
  return { resolved, storageUrl: resolved && storageUrl(job, resolved.storage) }
}

function workload(object: KubeObject): Workload {
  const replicas = member(object['spec'], 'replicas')
  return {
    name: object.metadata.name,
    uid: object.metadata.uid ?? '',
    run: runOf(object),
    replicas: typeof replicas === 'number' ? replicas : 0,
  }
}

/** Its pods have a token that the operator's key does not lead to any more. */
function hasOtherToken({ metadata: { annotations } }: KubeObject, job: JobRef, token: string): boolean {
  const secret = annotations?.[ANNOTATION_TOKEN_SECRET]
  return secret !== undefined && secret !== names.tokenSecret(job.name, token)
}

function isOwned(object: KubeObject, job: JobRef): boolean {
  return object.metadata.ownerReferences?.some((o) => o.uid === job.uid) === true
}

function lastSavepoint(savepoints: readonly SavepointObject[], job: JobRef): Observed['lastSavepoint'] {
  const [newest] = savepoints
    .flatMap(({ metadata: { name }, status }) =>
      status?.phase === 'Completed' && status.jobUid === job.uid && status.path !== undefined
        ? [{ name, path: status.path, at: Date.parse(status.completedAt ?? '') }]
        : [],
    )
    .toSorted((a, b) => b.at - a.at)
  return newest && { name: newest.name, path: newest.path }
}
