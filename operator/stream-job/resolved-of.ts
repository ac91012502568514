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
export function resolvedOfConfig({ job, spec }: Subject, data: unknown): Resolved | undefined {
  const config = runConfig.safeParse(parsed(textMember(data, configKeys.jobManager)))
  if (!config.success || config.data.storage.type !== 's3') return undefined
  const { storage, redis } = config.data
  const { bucket, root, access } = storage
  const own = spec.storage?.s3
  const found = compact<ResolvedStorage>({
    source: own === undefined ? 'Defaults' : 'Spec',
    bucket,
    prefix: prefixOf(root, job),
    endpoint: access.endpoint,
    region: access.region,
    forcePathStyle: access.forcePathStyle,
    credentialsSecret:
      access.credentialsDir && (own?.credentialsSecretRef?.name ?? names.storageSecret(job.name)),
    caConfigMap: own?.caConfigMapKeyRef,
    caBundle: textMember(data, configKeys.storageCa),
  })
  if (redis === undefined) return { storage: found }
  return { storage: found, redis: redisOf({ job, spec }, redis, textMember(data, configKeys.redisCa)) }
}

function redisOf(
  { job, spec }: Pick<Subject, 'job' | 'spec'>,
  { url, keyPrefix, credentialsDir }: z.output<typeof redisConfig>,
  caBundle: string | undefined,
): ResolvedRedis {
  const own = spec.redis
  return compact<ResolvedRedis>({
    source: own === undefined ? 'Defaults' : 'Spec',
    url,
    keyPrefix,
    credentialsSecret: credentialsDir && (own?.credentialsSecretRef?.name ?? names.redisSecret(job.name)),
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
