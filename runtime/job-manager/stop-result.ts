import { fromErrorData, WeirError } from '#runtime/base/errors'
import { placeSavepoint } from '#runtime/checkpoint/savepoint-place'
import type { LogState } from '#runtime/commit-log/log-state'
import type { RunEnd } from '#runtime/contract/checkpoint-records'
import type { OperationView } from '#runtime/contract/rest'
import { keyUrl, manifestDirectory } from '#runtime/storage/paths'
import type { StopOutcome } from './job-event.ts'
import type { StopRequest } from './job-phase.ts'

/** Where a stop finds what it left. */
interface Closed {
  readonly log: LogState
  /** URL of the job's own storage. */
  readonly storeUrl: string
}

/**
 * What somebody who asked for a stop is told once the run has ended: what it left, from the log. An
 * ending that is not what was asked for (another stop came first) is a failure of the request.
 * Pure.
 */
export function stopResult(
  stop: StopRequest,
  outcome: StopOutcome,
  closed: Closed,
): Partial<OperationView> | WeirError {
  if (outcome.kind === 'failed') return fromErrorData(outcome.error)
  const { status } = outcome
  if (stop.drain && status === 'Suspended') return missed(status, 'it was not drained')
  // Nobody may resume from a drained savepoint; whoever asked for one to resume from has none.
  if (stop.savepoint !== undefined && !stop.drain && status === 'Drained')
    return missed(status, 'it was drained')
  return stop.savepoint === undefined ? newest(closed) : savepointOf(stop, status, closed)
}

function newest({ log, storeUrl }: Closed): Partial<OperationView> {
  const last = log.savepoints.at(-1)
  const { restorePoint, lastCheckpoint } = log
  if (restorePoint.kind === 'savepoint' && last?.end !== undefined)
    return { checkpointId: last.id, path: last.path, sizeBytes: last.sizeBytes }
  if (restorePoint.kind !== 'checkpoint') return {}
  const { id, manifest } = restorePoint
  const path = keyUrl(storeUrl, manifestDirectory(manifest))
  return {
    checkpointId: id,
    path,
    ...(lastCheckpoint === undefined ? {} : { sizeBytes: lastCheckpoint.sizeBytes }),
  }
}

function savepointOf(
  stop: StopRequest,
  status: RunEnd,
  { log, storeUrl }: Closed,
): Partial<OperationView> | WeirError {
  const last = log.savepoints.findLast((s) => s.end !== undefined)
  const point = log.restorePoint
  if (last === undefined || point.kind !== 'savepoint' || point.path !== last.path)
    return missed(status, 'no savepoint was taken')
  const asked = stop.savepoint?.path
  const place = asked === undefined ? undefined : placeSavepoint(asked, storeUrl, { id: 1, epoch: 1 }).url
  if (place !== undefined && place !== last.path)
    return missed(status, `its savepoint is at ${last.path}, not at ${place}`)
  return { checkpointId: last.id, path: last.path, sizeBytes: last.sizeBytes }
}

const missed = (status: RunEnd, what: string): WeirError =>
  new WeirError('CKP_DECLINED', `The run has ended as ${status}, but ${what}: another request came first.`)
