import type { RunNumber } from '#runtime/contract/ids'
import { API_VERSION } from '#operator/api/group'
import type { StreamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { OperatorDefaults } from '#operator/config'
import { ANNOTATION_TOKEN_SECRET, jobLabels, LABEL_RUN } from './labels.ts'
import { names, storageRoot } from './names.ts'
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
  readonly image: string
  readonly spec: StreamJobSpec
  readonly defaults: OperatorDefaults
  /** Name of the Secret with the job's token. */
  readonly tokenSecret: string
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

/**
 * A certificate authority: a key of a ConfigMap next to the job, or text from the operator's
 * defaults.
 */
export type CaSource =
  | { readonly kind: 'configMap'; readonly name: string; readonly key: string }
  | { readonly kind: 'pem'; readonly pem: string }

export interface ResolvedStorage {
  readonly bucket: string
  readonly prefix: string
  readonly endpoint: string | undefined
  readonly region: string
  readonly forcePathStyle: boolean
  /** Secret next to the job. */
  readonly secretName: string | undefined
  /** Secret in the operator's namespace that `secretName` is a copy of. */
  readonly copyOf: string | undefined
  readonly ca: CaSource | undefined
}

/** The storage of a job: its own, else the operator's default, else undefined. */
export function resolveStorage(
  job: JobRef,
  spec: StreamJobSpec,
  defaults: OperatorDefaults,
): ResolvedStorage | undefined {
  const own = spec.storage?.s3
  if (own !== undefined)
    return {
      bucket: own.bucket,
      prefix: own.prefix,
      endpoint: own.endpoint,
      region: own.region,
      forcePathStyle: own.forcePathStyle,
      secretName: own.credentialsSecretRef?.name,
      copyOf: undefined,
      ca: own.caConfigMapKeyRef && { kind: 'configMap', ...own.caConfigMapKeyRef },
    }
  const shared = defaults.storage?.s3
  if (shared === undefined) return undefined
  return {
    bucket: shared.bucket,
    prefix: shared.prefix,
    endpoint: shared.endpoint,
    region: shared.region,
    forcePathStyle: shared.forcePathStyle,
    secretName: shared.credentialsSecret && names.storageSecret(job.name, job.uid),
    copyOf: shared.credentialsSecret,
    ca: shared.caBundle === undefined ? undefined : { kind: 'pem', pem: shared.caBundle },
  }
}

/** `s3://bucket/root` of a job's files; undefined without storage. */
export function storageUrlOf(
  job: JobRef,
  spec: StreamJobSpec,
  defaults: OperatorDefaults,
): string | undefined {
  const storage = resolveStorage(job, spec, defaults)
  return storage && `s3://${storage.bucket}/${storageRoot(storage.prefix, job.namespace, job.name, job.uid)}`
}

export interface ResolvedRedis {
  readonly url: string
  readonly keyPrefix: string
  readonly secretName: string | undefined
  readonly copyOf: string | undefined
  readonly ca: CaSource | undefined
}

export function resolveRedis(
  job: JobRef,
  spec: StreamJobSpec,
  defaults: OperatorDefaults,
): ResolvedRedis | undefined {
  const own = spec.redis
  if (own !== undefined)
    return {
      url: own.url,
      keyPrefix: own.keyPrefix,
      secretName: own.credentialsSecretRef?.name,
      copyOf: undefined,
      ca: own.caConfigMapKeyRef && { kind: 'configMap', ...own.caConfigMapKeyRef },
    }
  const shared = defaults.redis
  if (shared === undefined) return undefined
  return {
    url: shared.url,
    keyPrefix: shared.keyPrefix,
    secretName: shared.credentialsSecret && names.redisSecret(job.name, job.uid),
    copyOf: shared.credentialsSecret,
    ca: shared.caBundle === undefined ? undefined : { kind: 'pem', pem: shared.caBundle },
  }
}
