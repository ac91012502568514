/**
 * What to do for a Savepoint. Pure.
 *
 *   Pending -> InProgress    the job runs: the start of the attempt is written, then the leader is
 *                            asked
 *   InProgress -> Completed  the leader says so
 *   InProgress -> Pending    the attempt failed, timed out or was lost, and another one is allowed
 *   InProgress -> Failed     no further attempt is allowed
 *   Pending -> Failed        the job has ended
 *   Pending -> Unverified    an existing path is recorded
 *   Unverified -> Completed  a job was restored from it
 *   Pending -> Completed     the operator made it for a savepoint that a JobManager took
 *
 * I1 A Savepoint never changes a StreamJob and never waits for one to be deletable: it has no
 *    finalizer, its files stay.
 * I2 Each attempt has its own trigger id, so that asking twice takes one savepoint and a late
 *    answer to an older attempt changes nothing.
 */
import { compact } from '#operator/api/compact'
import { parseDuration } from '#runtime/base/units'
import type { OperationView } from '#runtime/contract/rest'
import type { SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import type { Reason } from '#operator/api/conditions'
import type { JobView, ObservedSavepoint } from './observed.ts'

export interface SavepointPlan {
  readonly status: SavepointStatus
  readonly reason: Reason
  readonly message: string
  /** It waits for somebody to do something. */
  readonly isStalled?: boolean
  /** What the leader is to be asked for. */
  readonly request?: { readonly triggerId: string; readonly path: string }
  readonly requeueAfterMs?: number
}

/** A leader that knows nothing of an attempt that is this old has lost it, or was never asked. */
const LOST_AFTER_MS = 10_000
const RETRY_MS = 10_000
const WAIT_MS = 5000
const NO_JOB_MS = 30_000

export function decideSavepoint(o: ObservedSavepoint): SavepointPlan {
  if (o.status.phase === 'Completed') return complete(o, o.status)
  if (o.spec.existingPath !== undefined) return recorded(o, o.spec.existingPath)
  if (hasEnded(o)) return { status: o.status, reason: 'JobEnded', message: lastMessage(o), isStalled: true }
  if (failuresOf(o) > o.spec.backoffLimit) return gaveUp(o, o.status, lastMessage(o))
  return o.status.phase === 'InProgress' ? inProgress(o) : pending(o)
}

const triggerIdOf = (o: ObservedSavepoint): string => `savepoint-${o.uid}-${failuresOf(o)}`
const failuresOf = (o: ObservedSavepoint): number => o.status.failures ?? 0

/** Written when the job had ended; that it runs again later changes nothing. */
const hasEnded = ({ status: { phase, conditions } }: ObservedSavepoint): boolean =>
  phase === 'Failed' && conditions?.find((c) => c.type === 'Ready')?.reason === 'JobEnded'

function complete(o: ObservedSavepoint, status: SavepointStatus): SavepointPlan {
  if (status.trigger !== 'Import')
    return { status, reason: 'Completed', message: `Savepoint at ${status.path}.` }
  const by = o.restoredBy === undefined ? 'A job' : `StreamJob ${o.restoredBy}`
  // Another job, or none any more, may be the one that was restored from it.
  const message = `${by} was restored from ${status.path}.`
  return { status, reason: 'Imported', message }
}

function recorded(o: ObservedSavepoint, path: string): SavepointPlan {
  const { madeFor } = o
  const status = {
    ...o.status,
    path,
    trigger: 'Import',
    completedAt: o.status.completedAt ?? new Date(o.now).toISOString(),
  } as const
  if (madeFor !== undefined) {
    const { job, jobUid, taken, trigger } = madeFor
    return complete(o, compact({ ...status, ...taken, phase: 'Completed', trigger, job, jobUid }))
  }
  if (o.restoredBy !== undefined) return complete(o, { ...status, phase: 'Completed' })
  const message =
    `The operator has no credentials to look at ${path}, so it is not known whether it is usable. ` +
    'It is checked when a job is restored from it, by restore.savepointRef or restore.path.'
  return { status: { ...status, phase: 'Unverified' }, reason: 'NotVerified', message }
}

function pending(o: ObservedSavepoint): SavepointPlan {
  const job = o.spec.streamJobRef?.name
  const status = compact<SavepointStatus>({ ...o.status, phase: 'Pending', trigger: 'User', job })
  if (o.job?.isEnded === true) return tooLate(o, o.job, status)
  const ready = pathOrWait(o)
  if ('reason' in ready) return { status, ...ready }
  const { path } = ready
  return {
    status: compact<SavepointStatus>({
      ...status,
      phase: 'InProgress',
      startedAt: new Date(o.now).toISOString(),
      jobUid: o.job?.uid,
    }),
    reason: 'InProgress',
    message: `Taking a savepoint to ${path}.`,
    request: { triggerId: triggerIdOf(o), path },
    requeueAfterMs: WAIT_MS,
  }
}

const rescue = ({ lastPath }: JobView): string =>
  lastPath === undefined ? '' : ` Its state is at ${lastPath}; spec.restore.path of a StreamJob takes that.`

function tooLate(o: ObservedSavepoint, job: JobView, status: SavepointStatus): SavepointPlan {
  const what = `StreamJob ${o.spec.streamJobRef?.name} is ${job.phase}, so no savepoint can be taken of it.`
  return {
    status: { ...status, phase: 'Failed' },
    reason: 'JobEnded',
    message: `${what}${rescue(job)}`,
    isStalled: true,
  }
}

type Wait = Omit<SavepointPlan, 'status'>

/** Where the savepoint goes, or why none can be taken now. */
function pathOrWait(o: ObservedSavepoint): { readonly path: string } | Wait {
  const wait = waitForJob(o)
  if (wait !== undefined) return wait
  const waitMs = retryWaitMs(o)
  if (waitMs > 0) return { reason: 'Retrying', message: lastMessage(o), requeueAfterMs: waitMs }
  const path = targetPath(o)
  if (path !== undefined) return { path }
  const message = `Waiting: the storage of StreamJob ${o.spec.streamJobRef?.name} is not known yet.`
  return { reason: 'JobNotRunning', message, requeueAfterMs: WAIT_MS }
}

function waitForJob(o: ObservedSavepoint): Wait | undefined {
  const name = `StreamJob ${o.spec.streamJobRef?.name}`
  if (o.job === undefined) {
    const message = `${name} does not exist; the savepoint is taken once it runs.`
    return { reason: 'JobNotFound', message, isStalled: true, requeueAfterMs: NO_JOB_MS }
  }
  if (o.job.isSuspended) {
    const message = `${name} is Suspended; the savepoint is taken once it runs again.`
    return { reason: 'JobSuspended', message: `${message}${rescue(o.job)}`, isStalled: true }
  }
  if (isRunning(o)) return undefined
  const what = o.facts.facts?.state ?? o.job.phase ?? 'not running yet'
  const message = `Waiting: ${name} is ${what}; a savepoint is taken while it is Running.`
  return { reason: 'JobNotRunning', message }
}

function isRunning({ facts: { facts }, job }: ObservedSavepoint): boolean {
  return facts?.state === 'Running' && facts.job.uid === job?.uid
}

function inProgress(o: ObservedSavepoint): SavepointPlan {
  const operation = o.facts.facts?.operations.find((op) => op.triggerId === triggerIdOf(o))
  if (operation?.status === 'Completed') return completed(o, operation)
  if (operation?.status === 'Failed') return failed(o, reasonOf(operation))
  const loss = lossOf(o, operation, o.now - Date.parse(o.status.startedAt ?? ''))
  if (loss !== undefined) return failed(o, loss)
  return {
    status: o.status,
    reason: 'InProgress',
    message: 'The savepoint is being taken.',
    requeueAfterMs: WAIT_MS,
    ...(operation === undefined ? askAgain(o) : {}),
  }
}

/** A leader that does not know the attempt is asked once more. */
function askAgain(o: ObservedSavepoint): Pick<SavepointPlan, 'request'> {
  const path = targetPath(o)
  const canAsk = o.facts.facts?.state === 'Running' && path !== undefined
  return canAsk ? { request: { triggerId: triggerIdOf(o), path } } : {}
}

const reasonOf = ({ error }: OperationView): string => error?.message ?? 'the JobManager gave no reason'

/** Why nothing is to be expected of the attempt any more; undefined while it may still complete. */
function lossOf(
  { job, spec, facts: { facts } }: ObservedSavepoint,
  operation: OperationView | undefined,
  sinceMs: number,
): string | undefined {
  const name = `StreamJob ${spec.streamJobRef?.name}`
  if (job === undefined) return `${name} was deleted meanwhile`
  if (job.isEnded && operation === undefined) return `${name} is ${job.phase}`
  if (!(sinceMs <= parseDuration(spec.timeout))) return `it was not complete within ${spec.timeout}`
  const isLost = operation === undefined && facts !== undefined && sinceMs > LOST_AFTER_MS
  return isLost ? 'the JobManager that was asked for it is gone' : undefined
}

function completed(o: ObservedSavepoint, operation: OperationView): SavepointPlan {
  const status = compact<SavepointStatus>({
    ...o.status,
    phase: 'Completed',
    path: operation.path ?? targetPath(o),
    checkpointId: operation.checkpointId,
    sizeBytes: operation.sizeBytes,
    maxParallelism: operation.maxParallelism,
    formatVersion: operation.formatVersion,
    completedAt: new Date(operation.completedAt ?? o.now).toISOString(),
  })
  return complete(o, status)
}

function failed(o: ObservedSavepoint, why: string): SavepointPlan {
  const failures = failuresOf(o) + 1
  const status: SavepointStatus = { ...o.status, phase: 'Pending', failures }
  const message = `Attempt ${failures} failed: ${why}`
  if (failures > o.spec.backoffLimit) return gaveUp(o, status, message)
  return { status, reason: 'Retrying', message, requeueAfterMs: RETRY_MS }
}

function gaveUp(o: ObservedSavepoint, status: SavepointStatus, message: string): SavepointPlan {
  const limit = `No further attempt: spec.backoffLimit is ${o.spec.backoffLimit}.`
  return {
    status: { ...status, phase: 'Failed' },
    reason: 'BackoffLimitExceeded',
    message: message.includes('backoffLimit') ? message : `${message}. ${limit}`,
  }
}

function lastMessage(o: ObservedSavepoint): string {
  return o.status.conditions?.find((c) => c.type === 'Ready')?.message ?? 'The last attempt failed.'
}

/**
 * Attempts are spaced from the start of the one before, so that a restarted operator keeps the
 * pace.
 */
function retryWaitMs(o: ObservedSavepoint): number {
  const failures = failuresOf(o)
  if (failures === 0 || o.status.startedAt === undefined) return 0
  return Math.max(0, Date.parse(o.status.startedAt) + RETRY_MS * failures - o.now)
}

function targetPath(o: ObservedSavepoint): string | undefined {
  if (o.spec.path !== undefined) return o.spec.path
  if (o.job?.storageUrl === undefined) return undefined
  const failures = failuresOf(o)
  const name = `${o.name}-${o.uid.slice(0, 8)}${failures === 0 ? '' : `-${failures + 1}`}`
  return `${o.job.storageUrl}/savepoints/${name}`
}
