import type { Clock } from '#runtime/base/clock'
import type { SavepointSpec } from '#operator/api/v1alpha1/savepoint'
import { streamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { OperatorDefaults } from '#operator/config'
import { keyOf } from '#operator/kube/store'
import { ANNOTATION_JOB_UID, ANNOTATION_TRIGGER } from '#operator/resources/labels'
import { storageRoot } from '#operator/resources/names'
import { resolveStorage } from '#operator/resources/run-context'
import type { FactsHub } from '#operator/stream-job/facts'
import type { SavepointObject, Stores } from '#operator/stream-job/gather'
import { jobRefOf, type StreamJobObject } from '#operator/stream-job/stream-job-object'
import type { ObservedSavepoint } from './observed.ts'

export interface SavepointGatherContext {
  readonly stores: Stores
  readonly facts: FactsHub
  readonly defaults: OperatorDefaults
  readonly clock: Clock
}

export function gatherSavepoint(
  context: SavepointGatherContext,
  object: SavepointObject,
  spec: SavepointSpec,
): ObservedSavepoint {
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
    job: job && {
      uid: job.metadata.uid ?? '',
      phase: job.status?.phase,
      storageUrl: storageUrl(job, context.defaults),
    },
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
