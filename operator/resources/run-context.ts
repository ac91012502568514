import type { RunNumber } from '#runtime/contract/ids'
import { API_VERSION } from '#operator/api/group'
import type { StreamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { OperatorDefaults } from '#operator/config'
import { ANNOTATION_TOKEN_SECRET, jobLabels, LABEL_RUN } from './labels.ts'
import type { KubeObject, ObjectMeta, OwnerReference } from './object.ts'

/** The job that objects are built for. */
export interface JobRef {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

export function jobRefOf(object: KubeObject): JobRef {
  return {
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
    uid: object.metadata.uid ?? '',
  }
}

/** Everything that the objects of one run are built from; the builders are pure functions of it. */
export interface RunContext {
  readonly job: JobRef
  readonly cluster: string
  readonly run: RunNumber
  /** Name of the ConfigMap with its process configurations. */
  readonly config: string
  readonly image: string
  readonly spec: StreamJobSpec
  readonly defaults: OperatorDefaults
  /** Name of the Secret with the job's token. */
  readonly tokenSecret: string
  /** The storage and the Redis of the run. */
  readonly resolved: NonNullable<StreamJobStatus['resolved']>
  /** Path in the image, or source text that goes into the run's ConfigMap. */
  readonly module:
    | { readonly kind: 'path'; readonly path: string }
    | { readonly kind: 'source'; readonly source: string }
  /** Present only in the run that applies the restore block. Without `path`: start empty. */
  readonly restore?: { readonly path?: string; readonly allowNonRestoredState: boolean }
}

function ownerReference(job: JobRef): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: 'StreamJob',
    name: job.name,
    uid: job.uid,
    controller: true,
    blockOwnerDeletion: true,
  }
}

export function ownedMeta(
  job: JobRef,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): ObjectMeta {
  return {
    name,
    namespace: job.namespace,
    labels: { ...jobLabels(job.name), ...labels },
    ownerReferences: [ownerReference(job)],
  }
}

/** Of a Deployment or ReplicaSet of a run. */
export function workloadMeta({ job, run, tokenSecret }: RunContext, name: string): ObjectMeta {
  const annotations = { [ANNOTATION_TOKEN_SECRET]: tokenSecret }
  return { ...ownedMeta(job, name, { [LABEL_RUN]: String(run) }), annotations }
}
