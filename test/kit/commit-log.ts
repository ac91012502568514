import { type Clock, systemClock, type Timer } from '#runtime/base/clock'
import { silentLogger } from '#runtime/base/logger'
import { CommitLog } from '#runtime/commit-log/commit-log'
import type { CompactionOptions } from '#runtime/commit-log/log-compaction'
import type { Term } from '#runtime/commit-log/term'
import type { LogBody, LogRecord, RunEnd } from '#runtime/contract/checkpoint-records'
import type { JobIdentity } from '#runtime/contract/job-options'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'

export const JOB: JobIdentity = {
  cluster: 'cluster-1',
  namespace: 'default',
  name: 'word-count',
  uid: 'uid-1',
}

/**
 * A clock whose timers fire at once (in order, on the next turn) and whose time jumps to them:
 * waits cost nothing.
 */
export function hastyClock(): Clock {
  let now = 1_000_000
  const after = (delayMs: number, run: () => void): Timer => {
    let canceled = false
    setImmediate(() => {
      if (canceled) return
      now += delayMs
      run()
    })
    return { cancel: () => void (canceled = true) }
  }
  return { now: () => now, monotonic: () => now, after, soon: (run) => void after(0, run) }
}

export interface OpenLogOptions {
  readonly clock?: Clock
  readonly compaction?: CompactionOptions
}

export function openLog(store: CheckpointStore, options: OpenLogOptions = {}): Promise<CommitLog> {
  return CommitLog.open({ store, clock: systemClock, random: Math.random, logger: silentLogger, ...options })
}

export interface LeadOptions extends OpenLogOptions {
  readonly leader?: string
  readonly run?: number
}

/** A log of JOB with its owner, and an epoch opened in it. */
export async function leadLog(store: CheckpointStore, options: LeadOptions = {}) {
  const { leader = 'jm-a', run = 1, ...open } = options
  const log = await openLog(store, open)
  await log.ensureOwner(JOB)
  return { log, term: await log.openEpoch({ run, leader, floor: 1 }) }
}

/** Appends, and gives the record. @throws what became of the append, when it is not in the log. */
export async function append(term: Pick<Term, 'append'>, body: LogBody): Promise<LogRecord> {
  const outcome = await term.append(body)
  if (outcome.kind === 'appended') return outcome.record
  throw outcome.error
}

export const deployBody = (
  attempt: string,
  more: Partial<Extract<LogBody, { kind: 'DEPLOY' }>> = {},
): LogBody => ({
  kind: 'DEPLOY',
  attempt,
  run: 1,
  planHash: 'plan',
  restoreFrom: { kind: 'empty' },
  why: 'first start',
  ...more,
})

export const checkpointBody = (
  id: number,
  epoch: number,
  attempt: string,
  more: Partial<Extract<LogBody, { kind: 'CHECKPOINT' }>> = {},
): LogBody => ({
  kind: 'CHECKPOINT',
  id,
  epoch,
  attempt,
  base: 0,
  manifest: `chk/${id}-${epoch}/manifest.json`,
  sha256: 'ab'.repeat(32),
  sizeBytes: 10,
  deltaBytes: 10,
  committedUpTo: id,
  retires: [],
  stats: {},
  ...more,
})

export const savepointBody = (id: number, end?: RunEnd): LogBody => ({
  kind: 'SAVEPOINT',
  id,
  path: `file:///savepoints/${id}`,
  sha256: 'cd'.repeat(32),
  sizeBytes: 10,
  attempt: '1.1',
  ...(end === undefined ? {} : { end }),
})

export const closeBody = (
  status: Extract<LogBody, { kind: 'CLOSE' }>['status'],
  run = 1,
): Extract<LogBody, { kind: 'CLOSE' }> => ({ kind: 'CLOSE', run, status, committedUpTo: 0 })
