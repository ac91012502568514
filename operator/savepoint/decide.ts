import { parseDuration } from '#runtime/base/units'
import type { OperationView } from '#runtime/contract/rest'
import type { SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import type { Reason } from '#operator/api/conditions'
import type { ObservedSavepoint } from './observed.ts'

/**
 * What to do for a Savepoint. Pure.
 *
 *   Pending -> InProgress    the job runs: the start of the try is written, then the leader is asked
 *   InProgress -> Completed  the leader says so
 *   InProgress -> Pending    the try failed, timed out or was lost, and another one is allowed
 *   InProgress -> Failed     no further try is allowed
 *   Pending -> Completed     an existing path is recorded
 *
 * I1 A Savepoint never changes a StreamJob and never waits for one to be deletable: it has no
 *    finalizer, its files stay.
 * I2 Each try has its own trigger id, so that asking twice takes one savepoint and a late answer of
 *    an older try changes nothing.
 */
export interface SavepointPlan {
  readonly status: SavepointStatus
  readonly reason: Reason
  readonly message: string
  readonly request?: { readonly triggerId: string; readonly path: string }
  readonly requeueAfterMs?: number
}

/** A leader that knows nothing of a try for so long has lost it, or was asked by nobody. */
const LOST_AFTER_MS = 10_000
const RETRY_MS = 10_000
const WAIT_MS = 5000

export function decideSavepoint(o: ObservedSavepoint): SavepointPlan {
  if (o.status.phase === 'Completed')
    return { status: o.status, reason: isImport(o) ? 'Imported' : 'Completed', message: completedMessage(o) }
  if (isImport(o)) return imported(o)
  if ((o.status.failures ?? 0) > o.spec.backoffLimit) return gaveUp(o, o.status, lastMessage(o))
  return o.status.phase === 'InProgress' ? inProgress(o) : pending(o)
}

export function triggerIdOf(o: ObservedSavepoint): string {
  return `savepoint-${o.uid}-${o.status.failures ?? 0}`
}

const isImport = (o: ObservedSavepoint): boolean => o.spec.existingPath !== undefined

function completedMessage(o: ObservedSavepoint): string {
  return isImport(o)
    ? `The path was recorded. Its files have not been looked at; they are checked when a job is restored from it.`
    : `Savepoint at ${o.status.path}.`
}

function imported(o: ObservedSavepoint): SavepointPlan {
  const at = new Date(o.now).toISOString()
  const status: SavepointStatus = {
    ...o.status,
    phase: 'Completed',
    path: o.spec.existingPath,
    completedAt: at,
    trigger: o.madeFor ?? 'Import',
    ...(o.madeFromUid === undefined ? {} : { jobUid: o.madeFromUid }),
  }
  return { status, reason: 'Imported', message: completedMessage({ ...o, status }) }
}

function pending(o: ObservedSavepoint): SavepointPlan {
  const status: SavepointStatus = { ...o.status, phase: 'Pending', trigger: 'User' }
  const name = o.spec.streamJobRef?.name ?? ''
  if (o.job === undefined)
    return {
      status,
      reason: 'JobNotFound',
      message: `Waiting: StreamJob ${name} does not exist.`,
      requeueAfterMs: 30_000,
    }
  const facts = o.facts.facts
  if (facts === undefined || facts.job.uid !== o.job.uid || facts.state !== 'Running') {
    const what = facts?.state ?? o.job.phase ?? 'not running yet'
    return {
      status,
      reason: 'JobNotRunning',
      message: `Waiting: StreamJob ${name} is ${what}; a savepoint is taken while it is Running.`,
    }
  }
  const waitMs = retryWait(o)
  if (waitMs > 0) return { status, reason: 'Retrying', message: lastMessage(o), requeueAfterMs: waitMs }
  const path = targetPath(o)
  if (path === undefined)
    return {
      status,
      reason: 'JobNotRunning',
      message: `Waiting: the storage of StreamJob ${name} is not known yet.`,
      requeueAfterMs: WAIT_MS,
    }
  return {
    status: { ...status, phase: 'InProgress', startedAt: new Date(o.now).toISOString(), jobUid: o.job.uid },
    reason: 'InProgress',
    message: `Taking a savepoint to ${path}.`,
    request: { triggerId: triggerIdOf(o), path },
    requeueAfterMs: WAIT_MS,
  }
}

function inProgress(o: ObservedSavepoint): SavepointPlan {
  const sinceMs = o.now - Date.parse(o.status.startedAt ?? '')
  const facts = o.facts.facts
  const operation = facts?.operations.find((op) => op.triggerId === triggerIdOf(o))
  if (operation?.status === 'Completed') return completed(o, operation)
  if (operation?.status === 'Failed')
    return failed(o, operation.error?.message ?? 'the JobManager gave no reason')
  if (o.job === undefined) return failed(o, `StreamJob ${o.spec.streamJobRef?.name} was deleted meanwhile`)
  if (!(sinceMs <= parseDuration(o.spec.timeout)))
    return failed(o, `it was not complete within ${o.spec.timeout}`)
  const waiting = {
    status: o.status,
    reason: 'InProgress',
    message: 'The savepoint is being taken.',
    requeueAfterMs: WAIT_MS,
  } as const
  if (operation !== undefined || facts === undefined) return waiting
  if (sinceMs > LOST_AFTER_MS) return failed(o, 'the JobManager that was asked for it is gone')
  const path = targetPath(o)
  return path === undefined || facts.state !== 'Running'
    ? waiting
    : { ...waiting, request: { triggerId: triggerIdOf(o), path } }
}

function completed(o: ObservedSavepoint, operation: OperationView): SavepointPlan {
  const status: SavepointStatus = {
    ...o.status,
    phase: 'Completed',
    path: operation.path ?? targetPath(o),
    checkpointId: operation.checkpointId,
    sizeBytes: operation.sizeBytes,
    maxParallelism: operation.maxParallelism,
    formatVersion: operation.formatVersion,
    completedAt: new Date(operation.completedAt ?? o.now).toISOString(),
  } as SavepointStatus
  return { status, reason: 'Completed', message: completedMessage({ ...o, status }) }
}

function failed(o: ObservedSavepoint, why: string): SavepointPlan {
  const failures = (o.status.failures ?? 0) + 1
  const status: SavepointStatus = { ...o.status, phase: 'Pending', failures }
  const message = `Try ${failures} failed: ${why}`
  if (failures > o.spec.backoffLimit) return gaveUp(o, status, message)
  return { status, reason: 'Retrying', message, requeueAfterMs: RETRY_MS }
}

function gaveUp(o: ObservedSavepoint, status: SavepointStatus, message: string): SavepointPlan {
  return {
    status: { ...status, phase: 'Failed' },
    reason: 'BackoffLimitExceeded',
    message: message.includes('backoffLimit')
      ? message
      : `${message}. No further try: spec.backoffLimit is ${o.spec.backoffLimit}.`,
  }
}

function lastMessage(o: ObservedSavepoint): string {
  return o.status.conditions?.find((c) => c.type === 'Ready')?.message ?? 'The last try failed.'
}

/**
 * Tries are spaced from the start of the one before, so that a restarted operator keeps the pace.
 */
function retryWait(o: ObservedSavepoint): number {
  const failures = o.status.failures ?? 0
  if (failures === 0 || o.status.startedAt === undefined) return 0
  return Math.max(0, Date.parse(o.status.startedAt) + RETRY_MS * failures - o.now)
}

function targetPath(o: ObservedSavepoint): string | undefined {
  if (o.spec.path !== undefined) return o.spec.path
  if (o.job?.storageUrl === undefined) return undefined
  const failures = o.status.failures ?? 0
  return `${o.job.storageUrl}/savepoints/${o.name}-${o.uid.slice(0, 8)}${failures === 0 ? '' : `-${failures + 1}`}`
}
