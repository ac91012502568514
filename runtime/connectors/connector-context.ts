import type { Clock } from '#runtime/base/clock'
import type { Logger } from '#runtime/base/logger'
import type { S3Access } from '#runtime/contract/process-config'

/** What a source or sink knows of the subtask that it serves. Its callbacks run on the task's thread. */
export interface ConnectorContext {
  readonly job: { readonly namespace: string; readonly name: string; readonly uid: string }
  /** Of the operator that the connector belongs to. */
  readonly uid: string
  readonly subtask: number
  readonly parallelism: number
  /**
   * `<epoch>.<n>` of this execution; part of names of temporary files, never of what must be found
   * again.
   */
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
  /** The job's S3 settings for `s3://` paths in connectors; undefined when the job has none. */
  readonly s3: S3Access | undefined
  /** Counters shown in metrics, plain fields that the owner bumps; sampled by the task. */
  readonly counters: { lateDropped: number; badRecords: number; committed: number }
}
