import { type Clock, systemClock } from '#runtime/base/clock'
import { silentLogger } from '#runtime/base/logger'
import { CommitLog } from '#runtime/commit-log/commit-log'
import type { LogBody } from '#runtime/contract/checkpoint-records'
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
  return {
    now: () => now,
    monotonic: () => now,
    after(delayMs, run) {
      let canceled = false
      setImmediate(() => {
        if (canceled) return
        now += delayMs
        run()
      })
      return { cancel: () => void (canceled = true) }
    },
  }
}

export function openLog(store: CheckpointStore, clock: Clock = systemClock): Promise<CommitLog> {
  return CommitLog.open({ store, clock, random: Math.random, logger: silentLogger })
}

/** A log of JOB with its owner, led by `leader`. */
export async function leadLog(
  store: CheckpointStore,
  leader = 'jm-a',
  run = 1,
  clock: Clock = systemClock,
): Promise<CommitLog> {
  const log = await openLog(store, clock)
  await log.ensureOwner(JOB)
  await log.openEpoch({ run, leader, floor: 1 })
  return log
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
  final: false,
  stats: {},
  ...more,
})

export const savepointBody = (id: number, stop: boolean): LogBody => ({
  kind: 'SAVEPOINT',
  id,
  path: `file:///savepoints/${id}`,
  sha256: 'cd'.repeat(32),
  sizeBytes: 10,
  stop,
})
