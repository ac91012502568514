import { formatBytes } from '#runtime/base/units'
import type { JobFacts } from '#runtime/contract/rest'
import { formatAge } from '#cli/age'
import type { Output } from '#cli/output'
import { recoveryMs, recoveryParts } from '#cli/progress/event-lines'
import {
  checkpointText,
  failureText,
  eventTimeText,
  recordsText,
  skippedText,
  slotsText,
  stateText,
  waitRows,
} from '#cli/progress/facts-text'
import { fields, table } from '#cli/table'
import type { Target } from '#cli/target'
import { restorePointText } from './job-log.ts'
import { isResumable, type LocalStanding, standingOf } from './local-state.ts'
import { type LocalTarget, openLocal, resumeCommand } from './local-target.ts'

export async function statusLocal(output: Output, target: Extract<Target, { kind: 'local' }>): Promise<void> {
  const local = openLocal(target)
  const standing = await standingOf(local)
  const isRunning = standing.kind === 'running'
  output.result(
    {
      name: local.name,
      stateDir: local.state.path,
      state: isRunning ? standing.facts.state : standing.state,
      rest: local.client?.url,
      facts: isRunning ? standing.facts : undefined,
      log: isRunning ? undefined : standing.log,
      failure: isRunning ? undefined : local.record.failure,
    },
    isRunning ? runningText(local, standing.facts, Date.now()) : stoppedText(local, standing),
  )
}

function runningText(local: LocalTarget, facts: JobFacts, now: number): string {
  const { run, attempt, error, guarantee, taskManagers, parallelism, restarts, restoredFrom } = facts
  const { completed, failed, phase, last, lastFailure } = facts.checkpoint
  const head = fields([
    ['job', `${local.name} (run ${run}, attempt ${attempt ?? '-'})`],
    ['state', stateText(facts, now)],
    ...waitRows(facts, now),
    ['error', error?.message],
    ['guarantee', guarantee],
    ['records', recordsText(facts)],
    ['event time', eventTimeText(facts, now)],
    ['skipped', skippedText(facts.skipped)],
    ['task managers', `${taskManagers}, ${slotsText(facts)}, parallelism ${parallelism}`],
    ['restarts', restarts],
    ['restored from', restoredFrom],
    ['checkpoints', `${completed} completed, ${failed} failed, now ${phase}`],
    ['last checkpoint', last === undefined ? 'none yet' : checkpointText(last, now)],
    ['last failure', lastFailure && failureText(lastFailure, now)],
    ['rest', local.client?.url],
    ['logs', local.state.logs],
  ])
  return facts.recoveries.length === 0 ? head : `${head}\n\n${recoveriesText(facts.recoveries, now)}`
}

const recoveriesText = (recoveries: JobFacts['recoveries'], now: number): string =>
  table(
    ['RECOVERED', 'CAUSE', 'CHECKPOINT', 'MS', 'PARTS'],
    recoveries.map((r) => [
      `${formatAge(now - r.at)} ago`,
      r.cause,
      r.checkpointId,
      Math.round(recoveryMs(r)),
      recoveryParts(r),
    ]),
  )

function stoppedText(
  local: LocalTarget,
  { state, log }: Extract<LocalStanding, { kind: 'stopped' }>,
): string {
  const last = log?.lastCheckpoint
  return fields([
    ['job', `${local.name}${log === undefined ? '' : ` (run ${log.run})`}`],
    ['state', STOPPED[state]],
    ['error', local.record.failure?.message],
    [
      'last checkpoint',
      last === undefined
        ? 'none'
        : `${last.id}, ${new Date(last.at).toISOString()}: ${formatBytes(last.sizeBytes)}`,
    ],
    ['continues from', isResumable(state) ? restorePointText(log) : undefined],
    ['savepoints', log === undefined || log.savepoints.length === 0 ? undefined : log.savepoints.length],
    ['logs', local.state.logs],
    ['resume', isResumable(state) ? resumeCommand(local) : undefined],
  ])
}

const STOPPED: Readonly<Record<Extract<LocalStanding, { kind: 'stopped' }>['state'], string>> = {
  New: 'not running: it has never been deployed',
  Interrupted: 'not running: its last run was interrupted',
  Finished: 'finished: every input is read, every output committed',
  Suspended: 'suspended',
  Drained: 'drained',
  Failed: 'failed',
  Canceled: 'canceled',
}
