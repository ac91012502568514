import type { Clock } from '#runtime/base/clock'
import type { SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import type { StreamJobSpec, StreamJobStatus } from '#operator/api/v1alpha1/stream-job'
import type { OperatorDefaults } from '#operator/config'
import type { KubeClient } from '#operator/kube/client'
import { isNotFound } from '#operator/kube/errors'
import { RESOURCES } from '#operator/kube/resource'
import { keyOf, type Store } from '#operator/kube/store'
import { LABEL_COMPONENT, LABEL_LEADER } from '#operator/resources/labels'
import { storageRoot } from '#operator/resources/names'
import type { KubeObject } from '#operator/resources/object'
import { resolveRedis, resolveStorage, type JobRef, type RunContext } from '#operator/resources/run-context'
import { restoreHash, specHash } from '#operator/resources/spec-hash'
import type { FactsHub, PodAddress } from './facts.ts'
import type { Blocker, Desired, Observed, RestoreTarget, Workload } from './observed.ts'
import { findPodProblem } from './pod-problems.ts'
import { jobRefOf, runOf, type StreamJobObject } from './stream-job-object.ts'

export type SavepointObject = KubeObject & { readonly spec: unknown; readonly status?: SavepointStatus }

/**
 * Stores that the operator's reflectors fill. Workloads, pods and savepoints are indexed by
 * `<namespace>/<job>`.
 */
export interface Stores {
  readonly streamJobs: Store<StreamJobObject>
  readonly savepoints: Store<SavepointObject>
  readonly pods: Store<KubeObject>
  readonly deployments: Store<KubeObject>
  readonly replicaSets: Store<KubeObject>
}

export interface GatherContext {
  readonly client: KubeClient
  readonly stores: Stores
  readonly facts: FactsHub
  readonly defaults: OperatorDefaults
  readonly tokenOf: (job: JobRef) => string
  readonly clock: Clock
}

/**
 * Reads everything that a decision about a job depends on; the only requests are for a ConfigMap
 * that the spec names.
 */
export async function gather(
  context: GatherContext,
  object: StreamJobObject,
  spec: StreamJobSpec,
  signal: AbortSignal,
): Promise<Observed> {
  const { stores, defaults } = context
  const job = jobRefOf(object)
  const key = keyOf(job.namespace, job.name)
  const status: StreamJobStatus = object.status ?? {}
  const run = Number(status.runId ?? 0)
  const ofRun = (o: KubeObject) => runOf(o) === run
  const pods = stores.pods.indexed(key)
  const jobManagerPods = pods.filter(
    (p) => p.metadata.labels?.[LABEL_COMPONENT] === 'job-manager' && ofRun(p),
  )
  const taskManagerPods = pods.filter(
    (p) => p.metadata.labels?.[LABEL_COMPONENT] === 'task-manager' && isAlive(p),
  )
  const deployment = stores.deployments.indexed(key).find((d) => isOwned(d, job))
  const replicaSets = stores.replicaSets.indexed(key).filter((r) => isOwned(r, job))
  const addresses = jobManagerPods.flatMap(addressOf)
  context.facts.sync(key, context.tokenOf(job), addresses)
  const storage = resolveStorage(job, spec, defaults)
  return {
    object,
    job,
    generation: object.metadata.generation ?? 0,
    now: context.clock.now(),
    spec,
    status,
    desired: await desiredRun(context, job, spec, status, signal),
    restoreHash: restoreHash(spec.restore),
    facts: context.facts.view(key),
    jobManager: deployment && workload(deployment),
    taskManagers: replicaSets.filter((r) => r.metadata.deletionTimestamp === undefined).map(workload),
    jobManagerPods: jobManagerPods
      .filter((p) => p.metadata.deletionTimestamp === undefined)
      .map((p) => ({
        name: p.metadata.name,
        isLeader: p.metadata.labels?.[LABEL_LEADER] === 'true',
        hasAddress: addresses.some((a) => a.pod === p.metadata.name),
      })),
    taskManagerPodCount: taskManagerPods.length,
    podProblem: findPodProblem(
      pods.filter(ofRun),
      [...(deployment === undefined ? [] : [deployment]), ...replicaSets].filter(ofRun),
    ),
    defaultImage: defaults.image,
    storageUrl:
      storage && `s3://${storage.bucket}/${storageRoot(storage.prefix, job.namespace, job.name, job.uid)}`,
    lastSavepoint: lastSavepoint(stores.savepoints.indexed(key), job),
  }
}

function workload(object: KubeObject): Workload {
  const spec = object['spec'] as { replicas?: number } | undefined
  return {
    name: object.metadata.name,
    uid: object.metadata.uid ?? '',
    run: runOf(object),
    replicas: spec?.replicas ?? 0,
  }
}

function isOwned(object: KubeObject, job: JobRef): boolean {
  return object.metadata.ownerReferences?.some((o) => o.uid === job.uid) === true
}

function isAlive(pod: KubeObject): boolean {
  const phase = (pod['status'] as { phase?: string } | undefined)?.phase
  return pod.metadata.deletionTimestamp === undefined && phase !== 'Failed' && phase !== 'Succeeded'
}

function addressOf(pod: KubeObject): PodAddress[] {
  const ip = (pod['status'] as { podIP?: string } | undefined)?.podIP
  return ip === undefined || !isAlive(pod) ? [] : [{ pod: pod.metadata.name, ip }]
}

function lastSavepoint(savepoints: readonly SavepointObject[], job: JobRef): Observed['lastSavepoint'] {
  const completed = savepoints
    .filter(
      (s) => s.status?.phase === 'Completed' && s.status.jobUid === job.uid && s.status.path !== undefined,
    )
    .sort((a, b) => Date.parse(b.status?.completedAt ?? '') - Date.parse(a.status?.completedAt ?? ''))[0]
  return completed && { name: completed.metadata.name, path: completed.status?.path ?? '' }
}

async function desiredRun(
  context: GatherContext,
  job: JobRef,
  spec: StreamJobSpec,
  status: StreamJobStatus,
  signal: AbortSignal,
): Promise<Desired> {
  const module = await resolveModule(context, job, spec, signal)
  if ('reason' in module) return { kind: 'blocked', specHash: undefined, blocker: module }
  // Source in the spec is part of its hash already.
  const hash = specHash(
    spec,
    spec.job.configMapKeyRef !== undefined && module.kind === 'source' ? module.source : undefined,
  )
  const restore = resolveRestore(context, job, spec)
  const isRestoreNeeded =
    restoreHash(spec.restore) !== status.restoreHash && restoreHash(spec.restore) !== status.run?.restoreHash
  const blocker =
    missingDefault(context, job, spec) ??
    (restore !== undefined && 'reason' in restore && isRestoreNeeded ? restore : undefined)
  if (blocker !== undefined) return { kind: 'blocked', specHash: hash, blocker }
  return {
    kind: 'ready',
    specHash: hash,
    module,
    restore: restore === undefined || 'reason' in restore ? undefined : restore,
  }
}

function missingDefault(context: GatherContext, job: JobRef, spec: StreamJobSpec): Blocker | undefined {
  if (resolveStorage(job, spec, context.defaults) === undefined)
    return {
      reason: 'StorageMissing',
      message:
        'The job names no storage and the operator has no default one. Set spec.storage.s3, or defaults.storage of the chart.',
      needsUser: true,
    }
  if (spec.jobManager.replicas > 1 && resolveRedis(job, spec, context.defaults) === undefined)
    return {
      reason: 'RedisMissing',
      message: `jobManager.replicas is ${spec.jobManager.replicas}, which needs Redis for electing the leader. Set spec.redis, or defaults.redis of the chart.`,
      needsUser: true,
    }
  return undefined
}

async function resolveModule(
  context: GatherContext,
  job: JobRef,
  spec: StreamJobSpec,
  signal: AbortSignal,
): Promise<RunContext['module'] | Blocker> {
  if (spec.job.inline !== undefined) return { kind: 'source', source: spec.job.inline }
  if (spec.job.module !== undefined) return { kind: 'path', path: spec.job.module }
  const reference = spec.job.configMapKeyRef ?? { name: '', key: '' }
  const missing = (message: string): Blocker => ({ reason: 'ModuleNotFound', message, needsUser: true })
  try {
    const configMap = await context.client.get(RESOURCES.ConfigMap, job.namespace, reference.name, signal)
    const source = (configMap['data'] as Record<string, string> | undefined)?.[reference.key]
    if (source === undefined)
      return missing(
        `ConfigMap ${reference.name} has no key ${reference.key}, which spec.job.configMapKeyRef names.`,
      )
    return { kind: 'source', source }
  } catch (error) {
    if (isNotFound(error))
      return missing(`ConfigMap ${reference.name}, which spec.job.configMapKeyRef names, does not exist.`)
    throw error
  }
}

function resolveRestore(
  context: GatherContext,
  job: JobRef,
  spec: StreamJobSpec,
): RestoreTarget | Blocker | undefined {
  const { restore } = spec
  const hash = restoreHash(restore)
  if (restore === undefined || hash === undefined) return undefined
  const { allowNonRestoredState } = restore
  if (restore.empty === true) return { hash, allowNonRestoredState }
  if (restore.path !== undefined) return { hash, path: restore.path, allowNonRestoredState }
  const name = restore.savepointRef?.name ?? ''
  const status = context.stores.savepoints.get(job.namespace, name)?.status
  const blocked = (reason: Blocker['reason'], message: string, needsUser: boolean): Blocker => ({
    reason,
    message,
    needsUser,
  })
  if (context.stores.savepoints.get(job.namespace, name) === undefined)
    return blocked(
      'RestoreNotReady',
      `Savepoint ${name}, which spec.restore.savepointRef names, does not exist.`,
      true,
    )
  if (status?.phase === 'Failed') return blocked('RestoreImpossible', `Savepoint ${name} has failed.`, true)
  if (status?.phase !== 'Completed' || status.path === undefined)
    return blocked('RestoreNotReady', `Waiting for Savepoint ${name} to be Ready.`, false)
  if (status.maxParallelism !== undefined && status.maxParallelism !== spec.maxParallelism)
    return blocked(
      'RestoreImpossible',
      `Savepoint ${name} has maxParallelism ${status.maxParallelism}, the job has ${spec.maxParallelism}; they must be equal.`,
      true,
    )
  return { hash, path: status.path, allowNonRestoredState }
}
