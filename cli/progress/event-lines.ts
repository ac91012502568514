import { formatBytes } from '#runtime/base/units'
import type { JobFacts, JobState, RecoveryView } from '#runtime/contract/rest'

const ENDED: readonly JobState[] = ['Finished', 'Suspended', 'Drained', 'Failed']
export const hasEnded = (facts: JobFacts | undefined): boolean =>
  facts !== undefined && ENDED.includes(facts.state)

/**
 * What is worth a line between two readings of a job's facts, oldest first. The facts are levels:
 * several changes may have passed between them. Pure.
 */
export function eventLines(before: JobFacts | undefined, now: JobFacts): string[] {
  return [
    ...checkpointLines(before, now),
    ...operationLines(before, now),
    ...recoveryLines(before, now),
    ...stateLines(before, now),
  ]
}

function checkpointLines(before: JobFacts | undefined, now: JobFacts): string[] {
  const lines: string[] = []
  const { last, lastFailure } = now.checkpoint
  if (
    last !== undefined &&
    before !== undefined &&
    last.id !== before.checkpoint.last?.id &&
    !isOfEarlierRun(before, now)
  )
    lines.push(
      `checkpoint ${last.id} completed: ${formatBytes(last.sizeBytes)} in ${Math.round(last.durationMs)} ms`,
    )
  const failureBefore = before?.checkpoint.lastFailure
  if (
    lastFailure !== undefined &&
    before !== undefined &&
    (lastFailure.id !== failureBefore?.id || lastFailure.at !== failureBefore.at)
  )
    lines.push(`checkpoint ${lastFailure.id} failed: ${lastFailure.reason}, ${lastFailure.message}`)
  return lines
}

/** A leader that has just read the log shows the newest checkpoint of the run before. */
const isOfEarlierRun = (before: JobFacts, now: JobFacts): boolean =>
  before.checkpoint.last === undefined &&
  (now.state === 'Created' || now.state === 'WaitingForSlots' || now.state === 'Deploying')

function operationLines(before: JobFacts | undefined, now: JobFacts): string[] {
  if (before === undefined) return []
  return now.operations.flatMap((operation) => {
    const was = before.operations.find((o) => o.triggerId === operation.triggerId)
    if (
      operation.type !== 'savepoint' ||
      operation.status === 'InProgress' ||
      was?.status === operation.status
    )
      return []
    return operation.status === 'Completed'
      ? [`savepoint ${operation.checkpointId ?? ''} completed: ${operation.path ?? ''}`]
      : [`savepoint failed: ${operation.error?.message ?? 'no reason given'}`]
  })
}

function stateLines(before: JobFacts | undefined, now: JobFacts): string[] {
  if (before !== undefined && now.restarts > before.restarts && now.state !== 'Failed')
    return [restartLine(now)]
  if (before?.state === now.state) return []
  switch (now.state) {
    case 'Running': {
      if (now.restarts > 0 && before !== undefined) return []
      const from =
        now.restoredFrom === undefined ? '' : `, restored from ${restorePointName(now.restoredFrom)}`
      return [`running: parallelism ${now.parallelism} on ${plural(now.taskManagers, 'task manager')}${from}`]
    }
    case 'Failed':
      return [`failed: ${now.error?.message ?? now.message}`]
    case 'Finished':
      return ['finished: every input is read, every output committed']
    case 'Suspended':
    case 'Drained':
      return [
        `${now.state.toLowerCase()}${now.checkpoint.last === undefined ? '' : ` with checkpoint ${now.checkpoint.last.id}`}`,
      ]
    case 'Created':
    case 'WaitingForSlots':
    case 'Deploying':
    case 'Restarting':
    case 'Stopping':
      return []
  }
}

function restartLine(now: JobFacts): string {
  const point =
    now.checkpoint.last === undefined ? 'from the beginning' : `from checkpoint ${now.checkpoint.last.id}`
  return `restarting ${point}: ${now.error?.message ?? now.message}`
}

/** `.../chk/7-1/manifest.json` -> `checkpoint 7`; a savepoint keeps its URL. */
const restorePointName = (url: string): string =>
  url.replace(/^.*\/chk\/([0-9]+)-[0-9]+\/manifest\.json$/, 'checkpoint $1')

function recoveryLines(before: JobFacts | undefined, now: JobFacts): string[] {
  if (before === undefined) return []
  const [newest] = now.recoveries
  if (newest === undefined || newest.firstRecordMs === undefined) return []
  const was = before.recoveries.find((r) => r.at === newest.at)
  if (was?.firstRecordMs !== undefined) return []
  return [`running again after ${Math.round(recoveryMs(newest))} ms (${recoveryParts(newest)})`]
}

/** From the failure to the first record. */
export const recoveryMs = (r: RecoveryView): number =>
  r.detectMs + r.electMs + r.scheduleMs + r.restoreMs + (r.firstRecordMs ?? 0)

export const recoveryParts = (r: RecoveryView): string =>
  (
    [
      ['detect', r.detectMs],
      ['elect', r.electMs],
      ['schedule', r.scheduleMs],
      ['restore', r.restoreMs],
      ['first record', r.firstRecordMs ?? 0],
    ] as const
  )
    .filter(([what, ms]) => ms > 0 || what === 'restore')
    .map(([what, ms]) => `${what} ${Math.round(ms)}`)
    .join(', ')

export const plural = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`
