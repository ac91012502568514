/** What a checkpoint is on its way: requested of the tasks, then stored but for its record. */
import type { LogRecordOf, Manifest } from '#runtime/contract/checkpoint-records'
import type { AttemptId, CheckpointId, Epoch } from '#runtime/contract/ids'
import type { CheckpointResult } from './checkpoint-requests.ts'

/** From the request to its tasks until it has completed or failed. */
export interface CheckpointInFlight {
  readonly attempt: AttemptId
  readonly epoch: Epoch
  readonly id: CheckpointId
  /** Id of the checkpoint on top of which the tasks write changes; 0: they write in full. */
  readonly base: CheckpointId
  readonly kind: 'checkpoint' | 'savepoint'
}

/** The record that completes a checkpoint. */
export type CompletionBody = LogRecordOf<'CHECKPOINT'> | LogRecordOf<'SAVEPOINT'>

/** Its manifest is stored: only the record is missing. */
export interface FinalizedCheckpoint {
  readonly manifest: Manifest
  /** The record that completes it; the same object for every try. */
  readonly body: CompletionBody
  /** Sinks commit on it. */
  readonly commits: boolean
  readonly result: Omit<CheckpointResult, 'durationMs' | 'completedAt'>
  /**
   * Keys below the job's root that are not needed any more once the record is in the log: the
   * staging copy of a savepoint.
   */
  readonly staged: readonly string[]
}
