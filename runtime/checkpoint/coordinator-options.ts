import type { Clock } from '#runtime/base/clock'
import type { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { CheckpointOptions, JobIdentity } from '#runtime/contract/job-options'
import type { CommitPermit, Barrier } from '#runtime/contract/rpc'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import type { AttemptPlan } from './checkpoint-assembly.ts'
import type { CoordinatorLog } from './coordinator-log.ts'

/** An attempt all of whose subtasks run. */
export interface StartedAttempt extends AttemptPlan {
  /** Id of the checkpoint that it was restored from; only counted. */
  readonly restoredFrom?: number
  /** Greatest checkpoint id that an adopted attempt has seen. */
  readonly highestId?: number
}

/** Commands to the tasks of an attempt. They may get lost; they must not throw. */
export interface CheckpointCommands {
  trigger(attempt: string, barrier: Barrier): void
  complete(attempt: string, permit: CommitPermit): void
  abort(attempt: string, checkpointId: number): void
}

export interface CheckpointCoordinatorOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly store: CheckpointStore
  /** Of an opened epoch. */
  readonly log: CoordinatorLog
  readonly job: JobIdentity
  readonly options: CheckpointOptions
  readonly send: CheckpointCommands
  /**
   * More counted failures in a row than are tolerated; the JobManager restarts the job. Called once
   * per excess failure.
   */
  onFailureLimit(error: WeirError): void
  /** A newer epoch exists: nothing will be triggered any more. Called once. */
  onFenced(error: WeirError): void
  /** Something in the views changed. */
  onChange(): void
  /** For savepoints outside the job's storage; absent: such paths are refused. */
  openSavepointStore?(url: string): CheckpointStore
  /** Time between logging a retirement and deleting its files. Default 60 s. */
  readonly deleteGraceMs?: number
}
