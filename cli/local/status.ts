import { formatBytes } from '#runtime/base/units'
import type { JobFacts } from '#runtime/contract/rest'
import { formatAge } from '#cli/age'
import type { Output } from '#cli/output'
import { recoveryMs, recoveryParts } from '#cli/progress/event-lines'
import { count } from '#cli/progress/status-block'
import { fields, table } from '#cli/table'
import type { Target } from '#cli/target'
import { restorePointText } from './job-log.ts'
import { isResumable, type LocalStanding, standingOf } from './local-state.ts'
import { type LocalTarget, openLocal, resumeCommand } from './local-target.ts'

export async function statusLocal(output: Output, target: Extract<Target, { kind: 'local' }>): Promise<void> {
  const local = openLocal(target)
  const standing = await standingOf(local)
  output.result(
    {
      name: local.name,
      stateDir: local.state.path,
      state: standing.kind === 'running' ? standing.facts.state : standing.state,
      rest: local.client?.url,
      facts: standing.kind === 'running' ? standing.facts : undefined,
      log: standing.kind === 'stopped' ? standing.log : undefined,
    },
    standing.kind === 'running'
      ? runningText(local, standing.facts, Date.now())
      : stoppedText(local, standing),
  )
}

function runningText(local: LocalTarget, facts: JobFacts, now: number): string {
  const { last, lastFailure } = facts.checkpoint
  const head = fields([
    ['job', `${local.name} (run ${facts.run}, attempt ${facts.attempt ?? '-'})`],
    [
      'state',
      `${facts.state} for ${formatAge(now - facts.stateSince)}${facts.message === '' ? '' : `: ${facts.message}`}`,
    ],
    ['error', facts.error?.message],
    ['guarantee', facts.guarantee],
    [
      'records',
      `${count(facts.records.in)} in, ${count(facts.records.out)} out, ${count(Math.round(facts.records.perSecond))}/s`,
    ],
    [
      'task managers',
      `${facts.taskManagers}, slots ${facts.slots.total - facts.slots.free} of ${facts.slots.total} used, parallelism ${facts.parallelism}`,
    ],
    ['restarts', facts.restarts],
    ['restored from', facts.restoredFrom],
    [
      'checkpoints',
      `${facts.checkpoint.completed} completed, ${facts.checkpoint.failed} failed, now ${facts.checkpoint.phase}`,
    ],
    [
      'last checkpoint',
      last === undefined
        ? 'none yet'
        : `${last.id}, ${formatAge(now - last.completedAt)} ago: ${formatBytes(last.sizeBytes)} in ${Math.round(last.durationMs)} ms`,
    ],
    [
      'last failure',
      lastFailure === undefined
        ? undefined
        : `${lastFailure.id}, ${formatAge(now - lastFailure.at)} ago: ${lastFailure.reason}, ${lastFailure.message}`,
    ],
    ['rest', local.client?.url],
    ['logs', local.state.logs],
  ])
  if (facts.recoveries.length === 0) return head
  const recoveries = table(
    ['RECOVERED', 'CAUSE', 'CHECKPOINT', 'MS', 'PARTS'],
    facts.recoveries.map((r) => [
      `${formatAge(now - r.at)} ago`,
      r.cause,
      r.checkpointId,
      Math.round(recoveryMs(r)),
      recoveryParts(r),
    ]),
  )
  return `${head}\n\n${recoveries}`
}

function stoppedText(
  local: LocalTarget,
  { state, log }: Extract<LocalStanding, { kind: 'stopped' }>,
): string {
  const last = log?.lastCheckpoint
  return fields([
    ['job', `${local.name}${log === undefined ? '' : ` (run ${log.run})`}`],
    ['state', STOPPED[state]],
    [
      'last checkpoint',
      last === undefined
        ? 'none'
        : `${last.id}, ${new Date(last.at).toISOString()}: ${formatBytes(last.sizeBytes)}`,
    ],
    ['goes on from', isResumable(state) ? restorePointText(log) : undefined],
    ['savepoints', log === undefined || log.savepoints.length === 0 ? undefined : log.savepoints.length],
    ['logs', local.state.logs],
    ['resume', isResumable(state) ? resumeCommand(local) : undefined],
  ])
}

const STOPPED: Readonly<Record<Extract<LocalStanding, { kind: 'stopped' }>['state'], string>> = {
  New: 'not running: it has never got as far as its first deployment',
  Interrupted: 'not running: its last run was interrupted',
  Finished: 'finished: every input is read, every output committed',
  Suspended: 'suspended',
  Drained: 'drained',
  Failed: 'failed',
  Canceled: 'canceled',
}
