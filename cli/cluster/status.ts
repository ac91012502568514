import { formatBytes } from '#runtime/base/units'
import { NOTICES } from '#operator/api/conditions'
import type { Condition } from '#operator/api/schema'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { formatAge } from '#cli/age'
import type { Output } from '#cli/output'
import { skippedText } from '#cli/progress/facts-text'
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
  const { recoveries = [] } = job.status ?? {}
  const head = headText(job, now)
  return recoveries.length === 0 ? head : `${head}\n\n${recoveriesText(recoveries, now)}`
}

function headText(job: StreamJobObject, now: number): string {
  const { metadata, spec, status = {} } = job
  return fields([
    ['job', `${metadata.namespace ?? 'default'}/${metadata.name}`],
    ['phase', status.phase ?? 'the operator has not seen it yet'],
    ['ready', sentence(conditionOf(job, 'Ready'))],
    ['stalled', stalledSentence(job)],
    ...notes(job),
    ...waitRows(status.waits ?? [], now),
    ['wanted', spec.state ?? 'Running'],
    ['run', status.runId && `${status.runId}, attempt ${status.attempt ?? '-'}`],
    ['task managers', taskManagersText(job)],
    ['leader', status.leader],
    ['restarts', status.restarts],
    ['restored from', status.restoredFrom],
    ['skipped', status.skipped && skippedText(status.skipped)],
    ['last checkpoint', lastCheckpointText(job, now)],
    ['last savepoint', status.lastSavepoint?.path],
    ['storage', status.storagePath],
  ])
}

const RECOVERIES = [
  'RECOVERED',
  'CAUSE',
  'CHECKPOINT',
  'DETECT',
  'ELECT',
  'SCHEDULE',
  'RESTORE',
  'FIRST-RECORD',
]

const recoveriesText = (recoveries: NonNullable<StreamJobStatus['recoveries']>, now: number): string =>
  table(
    RECOVERIES,
    recoveries.map((r) => [
      `${ageOf(r.at, now)} ago`,
      r.cause,
      r.checkpointId,
      r.detectMs,
      r.electMs,
      r.scheduleMs,
      r.restoreMs,
      r.firstRecordMs,
    ]),
  )

const sentence = (condition: Condition | undefined): string | undefined =>
  condition &&
  [condition.status, condition.reason, condition.message].filter((part) => part !== '').join(', ')

function stalledSentence(job: StreamJobObject): string | undefined {
  const stalled = conditionOf(job, 'Stalled')
  return stalled?.status === 'True' ? sentence(stalled) : undefined
}

/** What is not as its owner may think, of a job that may well run. */
function notes(job: StreamJobObject): [string, string][] {
  const told = [...NOTICES, 'RuntimeOutdated' as const].map((type) => conditionOf(job, type))
  const checkpoints = conditionOf(job, 'CheckpointHealthy')
  return [
    ...told.filter((c) => c !== undefined && c.status !== 'False'),
    ...(checkpoints?.status === 'False' ? [checkpoints] : []),
  ].flatMap((c) => (c === undefined ? [] : [['note', `${c.reason}, ${c.message}`]]))
}

const waitRows = (waits: NonNullable<StreamJobStatus['waits']>, now: number): [string, string][] =>
  waits.map(({ since, message }) => ['waiting', `${ageOf(since, now)} ${message}`])

export const ageOf = (time: string | undefined, now: number): string =>
  time === undefined ? '-' : formatAge(now - Date.parse(time))

const taskManagersText = ({ status, spec }: StreamJobObject): string =>
  `${status?.replicas ?? 0} of ${spec.taskManager?.replicas ?? 1}, parallelism ${status?.parallelism ?? '-'}`

function lastCheckpointText({ status }: StreamJobObject, now: number): string {
  const last = status?.lastCheckpoint
  if (last === undefined) return 'none yet'
  const size = formatBytes(last.sizeBytes)
  return `${last.id}, ${ageOf(last.completedAt, now)} ago: ${size} in ${last.duration}`
}
