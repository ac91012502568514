import * as z from 'zod'
import { textMember } from '#runtime/base/member'
import { redisConfig, storageConfig } from '#runtime/contract/process-config'
import { compact } from '#operator/api/compact'
import type { StreamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { KubeClient } from '#operator/kube/client'
import { isNotFound } from '#operator/kube/errors'
import { RESOURCES } from '#operator/kube/resource'
import { configKeys, names, storageRoot } from '#operator/resources/names'
import type { Resolved, ResolvedRedis, ResolvedStorage } from '#operator/resources/resolved'
import type { JobRef } from '#operator/resources/run-context'

interface Subject {
  readonly job: JobRef
  readonly spec: StreamJobSpec
  readonly status: StreamJobStatus
}

/**
 * Storage and Redis of the current run: from the status, else from what the run was made with, the
 * ConfigMap of the run; undefined where there is neither.
 */
export async function resolvedOf(
  client: KubeClient,
  subject: Subject,
  signal: AbortSignal,
): Promise<Resolved | undefined> {
  const { job, status } = subject
  if (status.resolved !== undefined || status.run === undefined) return status.resolved
  const name = names.runConfig(job.name, job.uid, Number(status.runId))
  try {
    const configMap = await client.get(RESOURCES.ConfigMap, job.namespace, name, signal)
    return resolvedOfConfig(subject, configMap['data'])
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

const runConfig = z.object({ storage: storageConfig, redis: redisConfig.optional() })

/** From the data of a run's ConfigMap; undefined when it does not say. */
function resolvedOfConfig(subject: Subject, data: unknown): Resolved | undefined {
  const config = runConfig.safeParse(parsed(textMember(data, configKeys.jobManager)))
  if (!config.success || config.data.storage.type !== 's3') return undefined
  const { redis } = config.data
  const storage = storageOf(subject, config.data.storage, textMember(data, configKeys.storageCa))
  if (redis === undefined) return { storage }
  return { storage, redis: redisOf(subject, redis, textMember(data, configKeys.redisCa)) }
}

type S3Storage = Extract<z.output<typeof storageConfig>, { type: 's3' }>

function storageOf(
  { job, spec }: Subject,
  { bucket, root, access }: S3Storage,
  caBundle: string | undefined,
): ResolvedStorage {
  const own = spec.storage?.s3
  const { endpoint, region, forcePathStyle, credentialsDir } = access
  return compact<ResolvedStorage>({
    source: own === undefined ? 'Defaults' : 'Spec',
    bucket,
    prefix: prefixOf(root, job),
    endpoint,
    region,
    forcePathStyle,
    credentialsSecret:
      credentialsDir && (own?.credentialsSecretRef?.name ?? names.storageSecret(job.name, job.uid)),
    caConfigMap: own?.caConfigMapKeyRef,
    caBundle,
  })
}

function redisOf(
  { job, spec }: Subject,
  { url, keyPrefix, credentialsDir }: z.output<typeof redisConfig>,
  caBundle: string | undefined,
): ResolvedRedis {
  const own = spec.redis
  return compact<ResolvedRedis>({
    source: own === undefined ? 'Defaults' : 'Spec',
    url,
    keyPrefix,
    credentialsSecret:
      credentialsDir && (own?.credentialsSecretRef?.name ?? names.redisSecret(job.name, job.uid)),
    caConfigMap: own?.caConfigMapKeyRef,
    caBundle,
  })
}

function prefixOf(root: string, { namespace, name, uid }: JobRef): string {
  const own = storageRoot('', namespace, name, uid)
  return root.endsWith(own) ? root.slice(0, -own.length).replace(/\/$/, '') : root
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}
