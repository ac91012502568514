import type { Clock } from '#runtime/base/clock'
import type { SavepointSpec } from '../api/v1alpha1/savepoint.ts'
import { streamJobSpec } from '../api/v1alpha1/stream-job.ts'
import type { OperatorDefaults } from '../config.ts'
import { keyOf } from '../kube/store.ts'
import { ANNOTATION_JOB_UID, ANNOTATION_TRIGGER } from '../resources/labels.ts'
import { storageRoot } from '../resources/names.ts'
import { resolveStorage } from '../resources/run-context.ts'
import type { FactsHub } from '../stream-job/facts.ts'
import type { SavepointObject, Stores } from '../stream-job/gather.ts'
import { jobRefOf, type StreamJobObject } from '../stream-job/stream-job-object.ts'
import type { ObservedSavepoint } from './observed.ts'

export interface SavepointGatherContext {
  readonly stores: Stores
  readonly facts: FactsHub
  readonly defaults: OperatorDefaults
  readonly clock: Clock
}

export function gatherSavepoint(context: SavepointGatherContext, object: SavepointObject, spec: SavepointSpec): ObservedSavepoint {
  const { namespace = '', name, annotations } = object.metadata
  const jobName = spec.streamJobRef?.name
  const found = jobName === undefined ? undefined : context.stores.streamJobs.get(namespace, jobName)
  const job = found?.metadata.deletionTimestamp === undefined ? found : undefined
  const trigger = annotations?.[ANNOTATION_TRIGGER]
  return {
    object,
    uid: object.metadata.uid ?? '',
    name,
    generation: object.metadata.generation ?? 0,
    now: context.clock.now(),
    spec,
    status: object.status ?? {},
    madeFor: trigger === 'Upgrade' || trigger === 'Suspend' ? trigger : undefined,
    madeFromUid: annotations?.[ANNOTATION_JOB_UID],
    job: job && { uid: job.metadata.uid ?? '', phase: job.status?.phase, storageUrl: storageUrl(job, context.defaults) },
    facts: context.facts.view(keyOf(namespace, jobName ?? '')),
  }
}

function storageUrl(object: StreamJobObject, defaults: OperatorDefaults): string | undefined {
  const spec = streamJobSpec.safeParse(object.spec)
  if (!spec.success) return undefined
  const job = jobRefOf(object)
  const storage = resolveStorage(job, spec.data, defaults)
  return storage && `s3://${storage.bucket}/${storageRoot(storage.prefix, job.namespace, job.name, job.uid)}`
}
