import { formatBytes } from '#runtime/base/units'
import {
  type FinalState,
  isFinal,
  type JobFacts,
  type OperationView,
  type RecoveryView,
} from '#runtime/contract/rest'
import { plural, waitingFor } from './facts-text.ts'

/**
 * What is worth a line between two readings of a job's facts, oldest first. The facts are levels:
 * several changes may have passed between them. `checkpoints`: a line for each that completes.
 * Pure.
 */
export function eventLines(
  before: JobFacts | undefined,
  now: JobFacts,
  { checkpoints = true }: { readonly checkpoints?: boolean } = {},
): string[] {
  return [
    ...checkpointLines(before, now, checkpoints),
    ...operationLines(before, now),
    ...recoveryLines(before, now),
    ...stateLines(before, now),
    ...waitLines(before, now),
    ...skippedLines(before, now),
  ]
}

function checkpointLines(before: JobFacts | undefined, now: JobFacts, completed: boolean): string[] {
  if (before === undefined) return []
  return [...(completed ? completedLines(before, now) : []), ...failureLines(before, now)]
}

/** A slow checkpoint is seen in the live lines; all else that holds up the job gets a line. */
function waitLines(before: JobFacts | undefined, now: JobFacts): string[] {
  const known = new Set(before?.waits.map(({ message }) => message))
  return now.waits.filter(({ kind, message }) => kind !== 'checkpoint' && !known.has(message)).map(waitingFor)
}

function completedLines(before: JobFacts, now: JobFacts): string[] {
  const { last } = now.checkpoint
  if (last === undefined || last.id === before.checkpoint.last?.id || isOfEarlierRun(before, now)) return []
  const took = `${Math.round(last.durationMs)} ms`
  return [`checkpoint ${last.id} completed: ${formatBytes(last.sizeBytes)} in ${took}`]
}

function failureLines(before: JobFacts, now: JobFacts): string[] {
  const failure = now.checkpoint.lastFailure
  const known = before.checkpoint.lastFailure
  if (failure === undefined || (failure.id === known?.id && failure.at === known.at)) return []
  return [`checkpoint ${failure.id} failed: ${failure.reason}, ${failure.message}`]
}

/** A leader that has just read the log shows the newest checkpoint of the run before. */
const isOfEarlierRun = (before: JobFacts, now: JobFacts): boolean =>
  before.checkpoint.last === undefined &&
  (now.state === 'Created' || now.state === 'WaitingForSlots' || now.state === 'Deploying')

function operationLines(before: JobFacts | undefined, now: JobFacts): string[] {
  if (before === undefined) return []
  return now.operations
    .filter((operation) => {
      const was = before.operations.find((o) => o.triggerId === operation.triggerId)
      return operation.status !== 'InProgress' && was?.status !== operation.status
    })
    .flatMap((operation) => OPERATIONS[operation.type](operation, now))
}

type OperationLines = (operation: OperationView, now: JobFacts) => string[]

const savepointLines: OperationLines = ({ status, checkpointId, path, error }) =>
  status === 'Completed'
    ? [`savepoint ${checkpointId ?? ''} completed: ${path ?? ''}`]
    : [`savepoint failed: ${error?.message ?? 'no reason given'}`]

/** That a stop succeeded is told by the state; its failure leaves the job as it is. */
const stopLines: OperationLines = ({ status, error }, { state }) =>
  status === 'Failed' && !isFinal(state)
    ? [`stop failed: ${error?.message ?? 'no reason given'}; the job goes on, it is ${state} now`]
    : []

const OPERATIONS: Readonly<Record<OperationView['type'], OperationLines>> = {
  checkpoint: () => [],
  savepoint: savepointLines,
  stop: stopLines,
}

/** What a restore has left unpublished; records that are dropped are shown as counts only. */
function skippedLines(before: JobFacts | undefined, now: JobFacts): string[] {
  const { skippedCommits, leftPending } = now.skipped
  return [
    ...(leftPending > (before?.skipped.leftPending ?? 0)
      ? [
          `${plural(leftPending, 'prepared transaction')} left to the job that this one is a fork of: ` +
            'if that job never runs again, publish them by hand; the log of the TaskManager names them',
        ]
      : []),
    ...(skippedCommits > (before?.skipped.skippedCommits ?? 0)
      ? [`${plural(skippedCommits, 'commit')} skipped: committed before, and the output is gone`]
      : []),
  ]
}

function stateLines(before: JobFacts | undefined, now: JobFacts): string[] {
  const isRestarted = before !== undefined && now.restarts > before.restarts
  if (isRestarted && now.state !== 'Failed') return [restartLine(now)]
  return before?.state === now.state
    ? errorLines(before, now)
    : [...entered(before, now), ...errorLines(before, now)]
}

/** What keeps a job from running, while it is retried. */
function errorLines(before: JobFacts | undefined, { error, message, state }: JobFacts): string[] {
  if (error === undefined || isFinal(state) || error.message === before?.error?.message) return []
  return [message.includes(error.message) ? message : `${message}: ${error.message}`]
}

function entered(before: JobFacts | undefined, now: JobFacts): string[] {
  if (isFinal(now.state)) return [endLine(now.state, now, before)]
  const isKnown = now.restarts > 0 && before !== undefined
  return now.state === 'Running' && !isKnown ? [runningLine(now)] : []
}

function endLine(state: FinalState, now: JobFacts, before: JobFacts | undefined): string {
  const { last } = now.checkpoint
  switch (state) {
    case 'Failed':
      return failedLine(now, before)
    case 'Finished':
      return 'finished: every input is read, every output committed'
    case 'Suspended':
    case 'Drained':
      return `${state.toLowerCase()}${last === undefined ? '' : ` with checkpoint ${last.id}`}`
  }
}

/** The error of a failure may have been told while the job was being taken down. */
function failedLine({ error, message }: JobFacts, before: JobFacts | undefined): string {
  if (error === undefined) return `failed: ${message}`
  return before?.error?.message === error.message ? 'failed' : `failed: ${error.message}`
}

function runningLine({ parallelism, taskManagers, restoredFrom }: JobFacts): string {
  const from = restoredFrom === undefined ? '' : `, restored from ${restorePointName(restoredFrom)}`
  return `running: parallelism ${parallelism} on ${plural(taskManagers, 'TaskManager')}${from}`
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
