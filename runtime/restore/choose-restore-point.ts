import { WeirError } from '#runtime/base/errors'
import type { LogState } from '#runtime/commit-log/log-state'
import { readLog } from '#runtime/commit-log/log-reader'
import type { Manifest, RestorePoint } from '#runtime/contract/checkpoint-records'
import type { RunNumber } from '#runtime/contract/ids'
import type { JobIdentity, RestoreOptions } from '#runtime/contract/job-options'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { keyUrl } from '#runtime/storage/paths'
import type { Stores } from '#runtime/storage/stores'
import { locateManifest } from '#runtime/storage/storage-url'
import { checkRestorable, openForeign, openRestorePoint, type OpenRestorePoint } from './restore-point.ts'

/** What a deployment starts from: a point that the log names, or what somebody has asked for. */
export type RestoreChoice = RestorePoint | { readonly kind: 'asked'; readonly path: string }

/**
 * The restore block acts at the first deployment of its run; after that the log decides alone, so
 * that a block left in a manifest rewinds nothing. Pure.
 */
export function chooseRestore(
  log: LogState,
  run: RunNumber,
  restore: RestoreOptions | undefined,
): RestoreChoice {
  if (restore === undefined || log.deploy?.run === run) return log.restorePoint
  return restore.path === undefined ? { kind: 'empty' } : { kind: 'asked', path: restore.path }
}

export interface VerifyOptions {
  readonly stores: Stores
  readonly job: JobIdentity
  readonly log: LogState
  readonly plan: ExecutionPlan
  readonly allowNonRestoredState: boolean
}

export interface VerifiedPoint {
  readonly point: RestorePoint
  /** Of its manifest, for people; undefined for an empty start. */
  readonly url: string | undefined
}

/**
 * The point with its lineage, once it is known to fit the plan. `look`: what else is to be seen of
 * it while it is open.
 * @throws {WeirError} CKP_RESTORE, STO_CORRUPT, STO_MISSING, STO_UNAVAILABLE, STO_DENIED
 */
export async function verifyRestore(
  choice: RestoreChoice,
  options: VerifyOptions,
  look: (open: OpenRestorePoint) => Promise<void> = () => Promise.resolve(),
): Promise<VerifiedPoint> {
  const point = choice.kind === 'asked' ? await locate(choice.path, options) : choice
  const open = await openRestorePoint(point, options.stores)
  if (open === undefined) return { point, url: undefined }
  try {
    checkRestorable(open.manifest, open.url, options.plan, options.allowNonRestoredState)
    await look(open)
    return { point, url: open.url }
  } finally {
    await open.close()
  }
}

/** What a path is to this job. */
async function locate(path: string, { stores, job, log }: VerifyOptions): Promise<RestorePoint> {
  const own = log.restorePoint
  if (isSame(path, own, stores.own)) return own
  const open = await openForeign(path, stores)
  await open.close()
  const asked = { kind: 'savepoint', path, committedUpTo: 0 } as const
  if (open.manifest.job.uid === job.uid) return { ...asked, lineage: 'rewind' }
  const ended = await endedSource(path, open.manifest, stores)
  return ended === undefined
    ? { ...asked, lineage: 'fork' }
    : { ...asked, lineage: 'succession', committedUpTo: ended.committedUpTo }
}

const trimmed = (url: string): string => url.replace(/\/+$/, '').replace(/\/manifest\.json$/, '')

function isSame(path: string, own: RestorePoint, store: CheckpointStore): boolean {
  if (own.kind === 'empty') return false
  const url = own.kind === 'savepoint' ? own.path : keyUrl(store.url, own.manifest)
  return trimmed(url) === trimmed(path)
}

/**
 * The log of the job whose newest point this is, if that job has ended; undefined otherwise, also
 * where its log cannot be found from the path. A job that may continue is never taken over.
 */
async function endedSource(path: string, manifest: Manifest, stores: Stores): Promise<LogState | undefined> {
  const root = /^(.+)\/savepoints\/[^/]+$/.exec(trimmed(path))?.[1] ?? locateManifest(path).root
  const store = stores.at(root)
  try {
    const { state } = await readLog(store)
    const isEnded = state.owner?.uid === manifest.job.uid && state.closed !== undefined
    return isEnded && isSame(path, state.restorePoint, store) ? state : undefined
  } catch (error) {
    if (isNoLog(error)) return undefined
    throw error
  } finally {
    await store.close()
  }
}

/** No log that can be read is there; a store that does not answer says nothing about that. */
const isNoLog = (error: unknown): boolean => error instanceof WeirError && error.retry !== 'backoff'
