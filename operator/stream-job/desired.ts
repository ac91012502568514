import { textMember } from '#runtime/base/member'
import type { StreamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { OperatorDefaults } from '#operator/config'
import type { KubeClient } from '#operator/kube/client'
import { isNotFound } from '#operator/kube/errors'
import { RESOURCES } from '#operator/kube/resource'
import type { Stores } from '#operator/kube/stores'
import { chooseStorage, namedRedis, namedStorage, type Resolved } from '#operator/resources/resolved'
import type { JobRef, RunContext } from '#operator/resources/run-context'
import { withTaskManagers } from '#operator/resources/scale'
import { restoreHash, specHash } from '#operator/resources/spec-hash'
import type { Blocker, Desired, RestoreTarget } from './observed.ts'

export interface DesiredContext {
  readonly client: KubeClient
  readonly stores: Stores
  readonly defaults: OperatorDefaults
}

export interface WantedJob {
  readonly job: JobRef
  readonly spec: StreamJobSpec
  readonly status: StreamJobStatus
  /** What the job has used up to now; undefined: it has never run, or nothing is on record. */
  readonly pinned: Resolved | undefined
}

/** Resolves what the spec refers to; the only request is for a ConfigMap that it names. */
export async function desiredRun(
  context: DesiredContext,
  wanted: WantedJob,
  signal: AbortSignal,
): Promise<Desired> {
  const { spec } = wanted
  const module = await resolveModule(context, wanted, signal)
  if ('reason' in module)
    return { kind: 'blocked', specHash: undefined, unscaledHash: undefined, blocker: module }
  // Source in the spec is part of its hash already.
  const isForeignSource = spec.job.configMapKeyRef !== undefined && module.kind === 'source'
  const hashes = hashesOf(wanted, isForeignSource ? module.source : undefined)
  const restore = resolveRestore(context, wanted)
  const resolved = resolveServices(context, wanted)
  if ('reason' in resolved) return { kind: 'blocked', ...hashes, blocker: resolved }
  const blocker = neededRestoreBlocker(wanted, restore)
  if (blocker !== undefined) return { kind: 'blocked', ...hashes, blocker }
  const target = restore === undefined || 'reason' in restore ? undefined : restore
  return { kind: 'ready', ...hashes, module, restore: target, resolved }
}

function hashesOf({ spec, status }: WantedJob, source: string | undefined) {
  const { taskManagers = spec.taskManager.replicas } = status.run ?? {}
  return {
    specHash: specHash(spec, source),
    unscaledHash: specHash(withTaskManagers(spec, taskManagers), source),
  }
}

/** Storage and Redis of the next run. */
function resolveServices({ defaults }: DesiredContext, wanted: WantedJob): Resolved | Blocker {
  const { job, spec, status, pinned } = wanted
  const hash = restoreHash(spec.restore)
  const choice = chooseStorage({
    job,
    pinned: pinned?.storage,
    named: namedStorage(job, spec, defaults),
    storagePath: status.run === undefined ? undefined : status.storagePath,
    isRestoring: hash !== undefined && hash !== status.restoreHash,
  })
  if (choice.kind === 'missing') return storageMissing()
  if (choice.kind === 'conflict') return storageChanged(choice)
  const redis = namedRedis(job, spec, defaults)
  if (redis === undefined && spec.jobManager.replicas > 1) return redisMissing(spec.jobManager.replicas)
  return { storage: choice.storage, ...(redis === undefined ? {} : { redis }) }
}

const storageMissing = (): Blocker =>
  blocker(
    'StorageMissing',
    'The job names no storage and the operator has no default one. ' +
      'Set spec.storage.s3, or defaults.storage of the chart.',
  )

const storageChanged = ({ named, files }: { readonly named: string; readonly files: string }): Blocker =>
  blocker(
    'StorageChanged',
    `The storage is now ${named}, where the job would start empty: its files are in ${files}. ` +
      'Name the former storage again, or what to start from in spec.restore, which moves the job.',
  )

const redisMissing = (replicas: number): Blocker =>
  blocker(
    'RedisMissing',
    `jobManager.replicas is ${replicas}, which needs Redis to elect the leader. ` +
      'Set spec.redis, or defaults.redis of the chart.',
  )

async function resolveModule(
  { client }: DesiredContext,
  { job, spec }: WantedJob,
  signal: AbortSignal,
): Promise<RunContext['module'] | Blocker> {
  if (spec.job.inline !== undefined) return { kind: 'source', source: spec.job.inline }
  if (spec.job.module !== undefined) return { kind: 'path', path: spec.job.module }
  const { name, key } = spec.job.configMapKeyRef ?? { name: '', key: '' }
  const missing = (what: string): Blocker =>
    blocker('ModuleNotFound', `${what}; spec.job.configMapKeyRef names it.`)
  try {
    const configMap = await client.get(RESOURCES.ConfigMap, job.namespace, name, signal)
    const source = textMember(configMap['data'], key)
    return source === undefined ? missing(`ConfigMap ${name} has no key ${key}`) : { kind: 'source', source }
  } catch (error) {
    if (isNotFound(error)) return missing(`ConfigMap ${name} does not exist`)
    throw error
  }
}

function resolveRestore(
  { stores }: DesiredContext,
  { job, spec }: WantedJob,
): RestoreTarget | Blocker | undefined {
  const { restore, maxParallelism } = spec
  const hash = restoreHash(restore)
  if (restore === undefined || hash === undefined) return undefined
  const { allowNonRestoredState, path, savepointRef } = restore
  if (restore.empty === true) return { hash, allowNonRestoredState }
  if (path !== undefined) return { hash, path, allowNonRestoredState }
  const found = usableSavepoint(stores, job, { name: savepointRef?.name ?? '', maxParallelism })
  return 'reason' in found ? found : { hash, path: found.path, allowNonRestoredState }
}

function usableSavepoint(
  stores: Stores,
  job: JobRef,
  { name, maxParallelism }: { readonly name: string; readonly maxParallelism: number },
): { readonly path: string } | Blocker {
  const savepoint = stores.savepoints.get(job.namespace, name)
  if (savepoint === undefined)
    return blocker(
      'RestoreNotReady',
      `Savepoint ${name}, which spec.restore.savepointRef names, does not exist.`,
    )
  const { phase, path, maxParallelism: has } = savepoint.status ?? {}
  if (phase === 'Failed') return blocker('RestoreImpossible', `Savepoint ${name} has failed.`)
  // The JobManager checks what it is given, so one that nobody has looked at yet may be tried.
  const isUsable = phase === 'Completed' || phase === 'Unverified'
  if (!isUsable || path === undefined)
    return { ...blocker('RestoreNotReady', `Waiting for Savepoint ${name} to be Ready.`), needsUser: false }
  if (has !== undefined && has !== maxParallelism)
    return blocker(
      'RestoreImpossible',
      `Savepoint ${name} has maxParallelism ${has}, the job has ${maxParallelism}; they must be equal.`,
    )
  return { path }
}

/** A restore block that has acted, or that the current run applies, blocks nothing. */
function neededRestoreBlocker(
  { spec, status }: WantedJob,
  restore: RestoreTarget | Blocker | undefined,
): Blocker | undefined {
  const hash = restoreHash(spec.restore)
  const isDone = hash === status.restoreHash || hash === status.run?.restoreHash
  return restore !== undefined && 'reason' in restore && !isDone ? restore : undefined
}

const blocker = (reason: Blocker['reason'], message: string): Blocker => ({
  reason,
  message,
  needsUser: true,
})
