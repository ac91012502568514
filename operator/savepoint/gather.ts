import type { Clock } from '#runtime/base/clock'
import type { SavepointSpec } from '#operator/api/v1alpha1/savepoint'
import type { JobManagerWatcher } from '#operator/job-managers/watcher'
import { keyOf } from '#operator/kube/store'
import type { Stores } from '#operator/kube/stores'
import {
  ANNOTATION_JOB_UID,
  ANNOTATION_TAKEN,
  ANNOTATION_TRIGGER,
  LABEL_JOB,
} from '#operator/resources/labels'
import type { SavepointObject, StreamJobObject } from '#operator/resources/object'
import { storageUrl } from '#operator/resources/resolved'
import { jobRefOf } from '#operator/resources/run-context'
import { parseTaken } from '#operator/resources/taken-savepoint'
import type { JobView, ObservedSavepoint, StopOrigin } from './observed.ts'

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
    madeFor: originOf(object),
    restoredBy: restoredBy(context, namespace, spec.existingPath),
    job: job === undefined || job.metadata.deletionTimestamp !== undefined ? undefined : jobView(job),
    facts: context.jobManagers.view(keyOf(namespace, jobName ?? '')),
  }
}

/** One that lacks what the operator notes is taken for an import. */
function originOf({ metadata: { annotations, labels } }: SavepointObject): StopOrigin | undefined {
  const trigger = annotations?.[ANNOTATION_TRIGGER]
  const taken = parseTaken(annotations?.[ANNOTATION_TAKEN])
  if ((trigger !== 'Upgrade' && trigger !== 'Suspend') || taken === undefined) return undefined
  return { trigger, job: labels?.[LABEL_JOB], jobUid: annotations?.[ANNOTATION_JOB_UID], taken }
}

/** A job that was restored from a path has read and checked what is there. */
function restoredBy(
  { stores }: SavepointGatherContext,
  namespace: string,
  path: string | undefined,
): string | undefined {
  if (path === undefined) return undefined
  for (const { metadata, status } of stores.streamJobs.values())
    if (metadata.namespace === namespace && directoryOf(status?.restoredFrom) === directoryOf(path))
      return metadata.name
  return undefined
}

const directoryOf = (path: string | undefined): string | undefined =>
  path?.replace(/\/manifest\.json$/, '').replace(/\/+$/, '')

function jobView(object: StreamJobObject): JobView {
  const job = jobRefOf(object)
  const { phase, resolved, lastSavepoint, lastCheckpoint } = object.status ?? {}
  return {
    uid: job.uid,
    phase,
    storageUrl: resolved && storageUrl(job, resolved.storage),
    isEnded: isSettled(object) && ENDED.has(phase ?? ''),
    isSuspended: isSettled(object) && phase === 'Suspended',
    lastPath: lastSavepoint?.path ?? lastCheckpoint?.path,
  }
}

/** The status is of the newest spec. */
const isSettled = ({ metadata: { generation }, status }: StreamJobObject): boolean =>
  status?.observedGeneration === generation

const ENDED: ReadonlySet<string> = new Set(['Finished', 'Drained', 'Failed'])
