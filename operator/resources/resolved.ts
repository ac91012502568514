/**
 * The object store and the Redis that a job uses: its own, or the operator's defaults. Pure.
 *
 * I1 The place of a job's files (bucket, prefix, endpoint) is settled by its first run and written
 *    to status.resolved. From then on only `restore` moves the job: a run that began elsewhere
 *    would find no log and start empty.
 * I2 How the place is reached (region, credentials, authority) follows the spec or the defaults
 *    with each run, as long as they name the same place.
 * I3 Redis keeps nothing that a job needs, so each run takes what is named when it begins.
 */
import { compact } from '#operator/api/compact'
import type { StreamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { OperatorDefaults } from '#operator/config'
import { names, storageRoot } from './names.ts'
import type { JobRef } from './run-context.ts'

export type Resolved = NonNullable<StreamJobStatus['resolved']>
export type ResolvedStorage = Resolved['storage']
export type ResolvedRedis = NonNullable<Resolved['redis']>

/**
 * A certificate authority: a key of a ConfigMap next to the job, or text from the operator's
 * defaults.
 */
export type CaSource =
  | { readonly kind: 'configMap'; readonly name: string; readonly key: string }
  | { readonly kind: 'pem'; readonly pem: string }

export function caOf(
  resolved: Pick<ResolvedStorage, 'caConfigMap' | 'caBundle'> | undefined,
): CaSource | undefined {
  if (resolved?.caConfigMap !== undefined) return { kind: 'configMap', ...resolved.caConfigMap }
  return resolved?.caBundle === undefined ? undefined : { kind: 'pem', pem: resolved.caBundle }
}

type Named = Pick<JobRef, 'name' | 'uid'>

/** The storage that is named now: by the spec, else by the defaults, else undefined. */
export function namedStorage(
  job: Named,
  spec: StreamJobSpec,
  defaults: OperatorDefaults,
): ResolvedStorage | undefined {
  const own = spec.storage?.s3
  if (own === undefined) return defaultStorage(job, defaults)
  const { bucket, prefix, endpoint, region, forcePathStyle } = own
  return compact<ResolvedStorage>({
    source: 'Spec',
    bucket,
    prefix,
    endpoint,
    region,
    forcePathStyle,
    credentialsSecret: own.credentialsSecretRef?.name,
    caConfigMap: own.caConfigMapKeyRef,
    caBundle: undefined,
  })
}

function defaultStorage(job: Named, defaults: OperatorDefaults): ResolvedStorage | undefined {
  const shared = defaults.storage?.s3
  if (shared === undefined) return undefined
  const { bucket, prefix, endpoint, region, forcePathStyle, caBundle } = shared
  return compact<ResolvedStorage>({
    source: 'Defaults',
    bucket,
    prefix,
    endpoint,
    region,
    forcePathStyle,
    credentialsSecret: shared.credentialsSecret && names.storageSecret(job.name, job.uid),
    caConfigMap: undefined,
    caBundle,
  })
}

/** The Redis that is named now: by the spec, else by the defaults, else undefined. */
export function namedRedis(
  job: Named,
  spec: StreamJobSpec,
  defaults: OperatorDefaults,
): ResolvedRedis | undefined {
  const own = spec.redis
  if (own === undefined) return defaultRedis(job, defaults)
  return compact<ResolvedRedis>({
    source: 'Spec',
    url: own.url,
    keyPrefix: own.keyPrefix,
    credentialsSecret: own.credentialsSecretRef?.name,
    caConfigMap: own.caConfigMapKeyRef,
    caBundle: undefined,
  })
}

function defaultRedis(job: Named, defaults: OperatorDefaults): ResolvedRedis | undefined {
  const shared = defaults.redis
  if (shared === undefined) return undefined
  return compact<ResolvedRedis>({
    source: 'Defaults',
    url: shared.url,
    keyPrefix: shared.keyPrefix,
    credentialsSecret: shared.credentialsSecret && names.redisSecret(job.name, job.uid),
    caConfigMap: undefined,
    caBundle: shared.caBundle,
  })
}

/** Where files are, for people and for comparing. */
export function placeOf({ bucket, prefix, endpoint }: ResolvedStorage): string {
  const path = ['s3:/', bucket, prefix].filter((part) => part !== '').join('/')
  return endpoint === undefined ? path : `${path} at ${endpoint.replace(/\/+$/, '')}`
}

const serverOf = ({ url, keyPrefix }: ResolvedRedis): string =>
  `${url.replace(/\/+$/, '')} (keys ${keyPrefix}...)`

/** `s3://bucket/root` of a job's files. */
export const storageUrl = (job: JobRef, { bucket, prefix }: ResolvedStorage): string =>
  `s3://${bucket}/${storageRoot(prefix, job.namespace, job.name, job.uid)}`

/** By I1 and I2; `conflict`: the spec names another place than the files are in. */
export type StorageChoice =
  | { readonly kind: 'use'; readonly storage: ResolvedStorage }
  | { readonly kind: 'missing' }
  | { readonly kind: 'conflict'; readonly named: string; readonly files: string }

export interface StorageQuestion {
  readonly job: JobRef
  readonly pinned: ResolvedStorage | undefined
  readonly named: ResolvedStorage | undefined
  /** Root of the job's files as the status has it, where nothing else is on record. */
  readonly storagePath: string | undefined
  /** A restore block is to be applied by the next run. */
  readonly isRestoring: boolean
}

/** The storage of the next run. */
export function chooseStorage(question: StorageQuestion): StorageChoice {
  const { pinned, named, isRestoring } = question
  if (pinned === undefined) return chooseFirst(question)
  if (named !== undefined && placeOf(named) === placeOf(pinned)) return { kind: 'use', storage: named }
  if (named?.source !== 'Spec') return { kind: 'use', storage: pinned }
  if (isRestoring) return { kind: 'use', storage: named }
  return { kind: 'conflict', named: placeOf(named), files: placeOf(pinned) }
}

function chooseFirst({ job, named, storagePath, isRestoring }: StorageQuestion): StorageChoice {
  if (named === undefined) return { kind: 'missing' }
  if (isRestoring || storagePath === undefined || storagePath === storageUrl(job, named))
    return { kind: 'use', storage: named }
  return { kind: 'conflict', named: placeOf(named), files: storagePath }
}

/** A default that is not what the job uses, as text; `now` undefined: there is none any more. */
export interface Drift {
  readonly of: 'storage' | 'redis'
  readonly used: string
  readonly now: string | undefined
}

/** Defaults of the operator that differ from what the job took of them. */
export function driftOf(
  job: Named,
  resolved: Resolved | undefined,
  { spec, defaults }: { readonly spec: StreamJobSpec; readonly defaults: OperatorDefaults },
): readonly Drift[] {
  const { storage, redis } = resolved ?? {}
  const drifts: Drift[] = []
  if (storage !== undefined && spec.storage === undefined)
    drifts.push({
      of: 'storage',
      used: placeOf(storage),
      now: textOf(defaultStorage(job, defaults), placeOf),
    })
  if (redis !== undefined && spec.redis === undefined)
    drifts.push({ of: 'redis', used: serverOf(redis), now: textOf(defaultRedis(job, defaults), serverOf) })
  return drifts.filter(({ used, now }) => used !== now)
}

const textOf = <T>(value: T | undefined, toText: (value: T) => string): string | undefined =>
  value === undefined ? undefined : toText(value)

/** A Secret of the operator's namespace that is copied next to the job. */
export interface CredentialsCopy {
  readonly of: 'storage' | 'redis'
  readonly from: string
  /** Name of the copy. */
  readonly name: string
}

/**
 * What is copied for a run: credentials of defaults that the run uses. Those of other defaults
 * would lock it out of what it uses, so an earlier copy then stays as it is.
 */
export function credentialsCopies(
  { job, resolved: { storage, redis } }: { readonly job: Named; readonly resolved: Resolved },
  defaults: OperatorDefaults,
): readonly CredentialsCopy[] {
  const [store, server] = [defaultStorage(job, defaults), defaultRedis(job, defaults)]
  const isSameStore = store !== undefined && placeOf(store) === placeOf(storage)
  const isSameServer = redis !== undefined && server !== undefined && serverOf(server) === serverOf(redis)
  const candidates = [
    { of: 'storage', used: storage, from: isSameStore ? defaults.storage?.s3.credentialsSecret : undefined },
    { of: 'redis', used: redis, from: isSameServer ? defaults.redis?.credentialsSecret : undefined },
  ] as const
  return candidates.flatMap(({ of, used, from }) => {
    const name = used?.source === 'Defaults' ? used.credentialsSecret : undefined
    return name === undefined || from === undefined ? [] : [{ of, from, name }]
  })
}
