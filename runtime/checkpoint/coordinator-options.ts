/** What the coordinator is given, and what it tells. */
import type { Clock } from '#runtime/base/clock'
import type { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { Term } from '#runtime/commit-log/term'
import type { AttemptId, CheckpointId } from '#runtime/contract/ids'
import type { CheckpointOptions, JobIdentity } from '#runtime/contract/job-options'
import type { Barrier, CommitPermit } from '#runtime/contract/rpc'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import type { AttemptPlan } from './checkpoint-assembly.ts'

/** An attempt all of whose subtasks run. */
export interface StartedAttempt extends AttemptPlan {
  /** It began from a checkpoint or savepoint; for the count of restores only. */
  readonly isRestored: boolean
  /** Greatest checkpoint id that an adopted attempt has seen; 0 for others. */
  readonly highestId: CheckpointId
}

/** What the coordinator uses of its term. */
export type CoordinatorTerm = Pick<Term, 'epoch' | 'state' | 'over' | 'append' | 'forgetRetirements'>

/** Commands to the tasks of an attempt. They may get lost; they must not throw. */
export interface CheckpointCommands {
  trigger(attempt: AttemptId, barrier: Barrier): void
  complete(attempt: AttemptId, permit: CommitPermit): void
  abort(attempt: AttemptId, checkpointId: CheckpointId): void
}

export interface CheckpointCoordinatorOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly store: CheckpointStore
  readonly term: CoordinatorTerm
  readonly job: JobIdentity
  readonly options: CheckpointOptions
  readonly send: CheckpointCommands
  /**
   * More counted failures in a row than are tolerated; the JobManager restarts the job. Called once
   * per excess failure.
   */
  onFailureLimit(error: WeirError): void
  /** The term is over: nothing will be triggered any more. Called once. */
  onFenced(error: WeirError): void
  /** Something in the views changed. */
  onChange(): void
  /** For savepoints outside the job's storage; absent: such paths are refused. */
  openSavepointStore?(url: string): CheckpointStore
  /** Time between logging a retirement and deleting its files. Default 60 s. */
  readonly deleteGraceMs?: number
}
