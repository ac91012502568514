import type { Clock } from '#runtime/base/clock'
import type { SavepointSpec } from '#operator/api/v1alpha1/savepoint'
import type { JobManagerWatcher } from '#operator/job-managers/watcher'
import { keyOf } from '#operator/kube/store'
import type { Stores } from '#operator/kube/stores'
import { ANNOTATION_JOB_UID, ANNOTATION_TRIGGER } from '#operator/resources/labels'
import type { SavepointObject, StreamJobObject } from '#operator/resources/object'
import { storageUrl } from '#operator/resources/resolved'
import { jobRefOf } from '#operator/resources/run-context'
import type { ObservedSavepoint } from './observed.ts'

export interface SavepointGatherContext {
  readonly stores: Stores
  readonly jobManagers: Pick<JobManagerWatcher, 'view'>
  readonly clock: Clock
}

export function gatherSavepoint(
  context: SavepointGatherContext,
  object: SavepointObject,
  spec: SavepointSpec,
): ObservedSavepoint {
  const { namespace = '', name, uid = '', generation = 0 } = object.metadata
  const jobName = spec.streamJobRef?.name
  const job = jobName === undefined ? undefined : context.stores.streamJobs.get(namespace, jobName)
  return {
    object,
    uid,
    name,
    generation,
    now: context.clock.now(),
    spec,
    status: object.status ?? {},
    ...originOf(object),
    job: job === undefined || job.metadata.deletionTimestamp !== undefined ? undefined : jobView(job),
    facts: context.jobManagers.view(keyOf(namespace, jobName ?? '')),
  }
}

/** What the operator notes on a Savepoint that it makes itself. */
function originOf({ metadata: { annotations } }: SavepointObject) {
  const trigger = annotations?.[ANNOTATION_TRIGGER]
  const isOwn = trigger === 'Upgrade' || trigger === 'Suspend'
  return { madeFor: isOwn ? trigger : undefined, madeFromUid: annotations?.[ANNOTATION_JOB_UID] } as const
}

function jobView(object: StreamJobObject): ObservedSavepoint['job'] {
  const job = jobRefOf(object)
  const { phase, resolved } = object.status ?? {}
  return { uid: job.uid, phase, storageUrl: resolved && storageUrl(job, resolved.storage) }
}
