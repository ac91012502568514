import { formatBytes } from '#runtime/base/units'
import { formatAge } from '#cli/age'
import type { Output } from '#cli/output'
import { fields, table } from '#cli/table'
import type { Target } from '#cli/target'
import { openCluster } from './cluster.ts'
import { conditionOf, type StreamJobObject } from './objects.ts'

export async function statusOnCluster(
  output: Output,
  target: Extract<Target, { kind: 'cluster' }>,
): Promise<void> {
  const cluster = await openCluster(target)
  const job = await cluster.job(target.name)
  output.result(job, statusText(job, Date.now()))
}

/** Pure. */
export function statusText(job: StreamJobObject, now: number): string {
  const { status, spec } = job
  const ready = conditionOf(job, 'Ready')
  const stalled = conditionOf(job, 'Stalled')
  const head = fields([
    ['job', `${job.metadata.namespace ?? 'default'}/${job.metadata.name}`],
    ['phase', status?.phase ?? 'the operator has not seen it yet'],
    ['ready', ready === undefined ? undefined : sentence(ready)],
    ['stalled', stalled?.status === 'True' ? sentence(stalled) : undefined],
    ['wanted', spec.state ?? 'Running'],
    ['run', status?.runId === undefined ? undefined : `${status.runId}, attempt ${status.attempt ?? '-'}`],
    ['task managers', taskManagersText(job)],
    ['leader', status?.leader],
    ['restarts', status?.restarts],
    ['restored from', status?.restoredFrom],
    ['last checkpoint', lastCheckpointText(job, now)],
    ['last savepoint', status?.lastSavepoint?.path],
    ['storage', status?.storagePath],
  ])
  const recoveries = status?.recoveries ?? []
  if (recoveries.length === 0) return head
  const rows = recoveries.map((r) => [
    `${ageOf(r.at, now)} ago`,
    r.cause,
    r.checkpointId,
    r.detectMs,
    r.electMs,
    r.scheduleMs,
    r.restoreMs,
    r.firstRecordMs,
  ])
  return `${head}\n\n${table(['RECOVERED', 'CAUSE', 'CHECKPOINT', 'DETECT', 'ELECT', 'SCHEDULE', 'RESTORE', 'FIRST-RECORD'], rows)}`
}

const sentence = (c: {
  readonly status: string
  readonly reason?: string
  readonly message?: string
}): string => [c.status, c.reason, c.message].filter((part) => part !== undefined && part !== '').join(', ')

export const ageOf = (time: string | undefined, now: number): string =>
  time === undefined ? '-' : formatAge(now - Date.parse(time))

const taskManagersText = ({ status, spec }: StreamJobObject): string =>
  `${status?.replicas ?? 0} of ${spec.taskManager?.replicas ?? 1}, parallelism ${status?.parallelism ?? '-'}`

function lastCheckpointText({ status }: StreamJobObject, now: number): string {
  const last = status?.lastCheckpoint
  if (last?.id === undefined) return 'none yet'
  const size = last.sizeBytes === undefined ? '' : `: ${formatBytes(last.sizeBytes)}`
  return `${last.id}, ${ageOf(last.completedAt, now)} ago${size}${last.duration === undefined ? '' : ` in ${last.duration}`}`
}
