import type { Clock } from '#runtime/base/clock'
import type { Logger } from '#runtime/base/logger'
import type { ConnectorAccess } from '#runtime/storage/connector-access'

/**
 * What a source or sink knows of the subtask that it serves. Its callbacks run on the task's
 * thread.
 */
export interface ConnectorContext {
  readonly job: { readonly namespace: string; readonly name: string; readonly uid: string }
  /** Of the operator that the connector belongs to. */
  readonly uid: string
  /** Its uids in earlier versions of the job: what it left under them is its own. */
  readonly formerly: readonly string[]
  readonly subtask: number
  readonly parallelism: number
  /** `<epoch>.<n>` of this execution. */
  readonly attempt: string
  /**
   * Makes the task call `poll` (and process timers) again soon; callable from any callback on this
   * thread.
   */
  wake(): void
  /** Fails the task from a callback. */
  fail(error: unknown): void
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  /** Files and buckets: the only way that connectors reach them. */
  readonly access: ConnectorAccess
  /** Plain fields that the owner bumps; sampled by the task. */
  readonly counters: ConnectorCounters
}

export interface ConnectorCounters {
  lateDropped: number
  badRecords: number
  /** Records given to a sink. */
  written: number
  /** Transactions committed, repetitions included. */
  committed: number
  /** Transactions that were not committed because their output was gone. */
  skippedCommits: number
  /** Prepared transactions of the job that this one is a fork of: left to that job. */
  leftPending: number
  /** What a source waits for that may never come, and since when (wall clock). */
  waiting: { readonly since: number; readonly message: string } | undefined
}

export function noCounts(): ConnectorCounters {
  return {
    lateDropped: 0,
    badRecords: 0,
    written: 0,
    committed: 0,
    skippedCommits: 0,
    leftPending: 0,
    waiting: undefined,
  }
}
