import { findCondition, isReason, NOTICES, type Reason } from '#operator/api/conditions'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'

/** Something that a user wants to see as a Kubernetes Event. */
export interface Edge {
  readonly type: 'Normal' | 'Warning'
  readonly reason: Reason
  readonly message: string
}

/**
 * Between two statuses of a StreamJob: another reason of Ready, what its owner should know,
 * recoveries, what it waits for, and what it leaves out: output of a restore, records. Pure.
 */
export function edges(before: StreamJobStatus, after: StreamJobStatus): Edge[] {
  const ready = readyEdge(before, after)
  return [
    ...ready,
    ...noticeEdges(before, after).filter((n) => !ready.some((r) => r.reason === n.reason)),
    ...waitingEdge(before, after),
    ...checkpointsEdge(before, after),
    ...recoveryEdge(before, after),
    ...skippedEdges(before, after),
    ...droppedEdges(before, after),
  ]
}

/** Conditions whose coming is a warning. */
const WARNINGS = ['Stalled', ...NOTICES] as const

function noticeEdges(before: StreamJobStatus, after: StreamJobStatus): Edge[] {
  return WARNINGS.flatMap((type): Edge[] => {
    const [old, now] = [findCondition(before.conditions, type), findCondition(after.conditions, type)]
    if (now === undefined || now.status === 'False' || !isReason(now.reason)) return []
    const isTold = old?.status === now.status && old.reason === now.reason
    return isTold ? [] : [{ type: 'Warning', reason: now.reason, message: now.message }]
  })
}

/**
 * Ready speaks of slots itself. A checkpoint takes its time; what comes of it is that it fails. A
 * store may be slow for a moment.
 */
const QUIET_WAITS: ReadonlySet<Reason> = new Set(['WaitingForSlots', 'WaitingForCheckpoint', 'StoreSlow'])

function waitingEdge(before: StreamJobStatus, after: StreamJobStatus): Edge[] {
  const now = findCondition(after.conditions, 'Waiting')
  if (now?.status !== 'True' || !isReason(now.reason) || QUIET_WAITS.has(now.reason)) return []
  const isTold = findCondition(before.conditions, 'Waiting')?.reason === now.reason
  return isTold ? [] : [{ type: 'Warning', reason: now.reason, message: now.message }]
}

function checkpointsEdge(before: StreamJobStatus, after: StreamJobStatus): Edge[] {
  const [old, now] = [before, after].map(({ conditions }) => findCondition(conditions, 'CheckpointHealthy'))
  if (now?.status !== 'False' || old?.status === 'False') return []
  return [{ type: 'Warning', reason: 'CheckpointsFailing', message: now.message }]
}

/** Without numbers, so that the same event counts up where attempts follow each other. */
function droppedEdges({ skipped: before }: StreamJobStatus, { skipped: after }: StreamJobStatus): Edge[] {
  const edge = (message: string): Edge => ({ type: 'Warning', reason: 'RecordsDropped', message })
  const isNew = (count: 'lateDropped' | 'badRecords') =>
    (after?.[count] ?? 0) > 0 && (before?.[count] ?? 0) === 0
  return [
    ...(isNew('lateDropped')
      ? [edge('Records are dropped that come after their window has closed: status.skipped.lateDropped.')]
      : []),
    ...(isNew('badRecords')
      ? [edge('Records are left out that a source cannot read: status.skipped.badRecords.')]
      : []),
  ]
}

function skippedEdges({ skipped: before }: StreamJobStatus, { skipped: after }: StreamJobStatus): Edge[] {
  const { skippedCommits = 0, leftPending = 0 } = after ?? {}
  const found: Edge[] = []
  if (leftPending > (before?.leftPending ?? 0))
    found.push({
      type: 'Warning',
      reason: 'OutputLeft',
      message:
        `${leftPending} prepared transactions were left to the job that this one is a fork of. ` +
        'If that job never runs again, publish them by hand: the logs of the TaskManagers name them.',
    })
  if (skippedCommits > (before?.skippedCommits ?? 0))
    found.push({
      type: 'Warning',
      reason: 'CommitsSkipped',
      message: `${skippedCommits} transactions were committed before and their output is gone.`,
    })
  return found
}

function readyEdge(before: StreamJobStatus, after: StreamJobStatus): Edge[] {
  const old = findCondition(before.conditions, 'Ready')
  const ready = findCondition(after.conditions, 'Ready')
  const reason = ready?.reason
  if (ready === undefined || !isReason(reason) || reason === old?.reason || QUIET.has(reason)) return []
  return [{ type: NORMAL.has(reason) ? 'Normal' : 'Warning', reason, message: ready.message }]
}

function recoveryEdge(before: StreamJobStatus, after: StreamJobStatus): Edge[] {
  const recovery = after.recoveries?.[0]
  const known = before.recoveries?.find((r) => r.at === recovery?.at)
  if (recovery?.firstRecordMs === undefined || known?.firstRecordMs !== undefined) return []
  const { firstRecordMs, cause, checkpointId } = recovery
  const from = checkpointId === undefined ? 'the start' : `checkpoint ${checkpointId}`
  const message = `Back ${firstRecordMs} ms after ${cause}, from ${from}.`
  return [{ type: 'Normal', reason: 'Recovered', message }]
}

/** The steps of the plan have their own events for these, or they are too common for any. */
const QUIET: ReadonlySet<Reason> = new Set(['Starting', 'Stopping'])
const NORMAL: ReadonlySet<Reason> = new Set([
  'Running',
  'Suspended',
  'Drained',
  'Finished',
  'WaitingForSlots',
])
