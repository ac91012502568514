/**
 * REST of the JobManager: shapes and names close to Flink's. All times are milliseconds since the
 * epoch, all sizes bytes. `:job` is the job's uid or `current`. Authentication: `Authorization:
 * Bearer <per-job token>`, except from loopback and for /healthz, /readyz, /metrics.
 *
 * GET  /healthz                          200 while the process runs
 * GET  /readyz                           200 once connected to store and Redis (leading or standby)
 * GET  /metrics                          Prometheus text
 * GET  /overview                         JobFacts (also from a standby: leading = false)
 * GET  /events                           NDJSON stream of JobFacts: the current ones at once, after
 *                                        each change (at most every 50 ms), and each second
 * GET  /jobs/:job/plan                   ExecutionPlan
 * GET  /jobs/:job/checkpoints            CheckpointsView
 * GET  /jobs/:job/checkpoints/details/:id CheckpointDetails
 * POST /jobs/:job/checkpoints            {triggerId?} -> {triggerId}
 * GET  /jobs/:job/checkpoints/:triggerId OperationView
 * POST /jobs/:job/savepoints             {triggerId?, path?} -> {triggerId}
 * POST /jobs/:job/pins                   {path, by} -> {id, until}: keeps a checkpoint that another
 *                                        job starts from, for a day
 * GET  /jobs/:job/savepoints             SavepointView[]
 * GET  /jobs/:job/savepoints/:triggerId  OperationView
 * POST /jobs/:job/stop                   {triggerId?, mode: 'checkpoint' | 'savepoint', path?,
 *                                        drain?} -> {triggerId}; the run is closed when the
 *                                        operation completes
 * GET  /jobs/:job/exceptions             ExceptionView[]
 * GET  /jobs/:job/vertices               VertexView[]
 * GET  /taskmanagers                     TaskManagerView[]
 * Errors: status 4xx/5xx with {code, message} of errors.ts. A standby answers 421 to what only the
 * leader can do, naming the leader where known.
 */
import type { ErrorData } from '#runtime/base/errors'
import type { AttemptId, CheckpointId, Epoch, RunNumber } from '#runtime/contract/ids'
import type { FailureReason } from './failure-reasons.ts'
import type { SkippedCounts } from './rpc.ts'

export type JobState =
  | 'Created'
  | 'WaitingForSlots'
  | 'Deploying'
  | 'Running'
  | 'Restarting'
  | 'Stopping'
  | 'Finished'
  | 'Suspended'
  | 'Drained'
  | 'Failed'

/** States that a run does not leave any more. */
export const FINAL_STATES = ['Finished', 'Suspended', 'Drained', 'Failed'] as const satisfies JobState[]
export type FinalState = (typeof FINAL_STATES)[number]
export const isFinal = (state: JobState): state is FinalState => FINAL_STATES.some((it) => it === state)

/** The published five phases of the coordinator, plus failure. */
export type CheckpointPhase =
  | 'IDLE'
  | 'REQUESTING'
  | 'EXECUTING'
  | 'COMMITTING'
  | 'COMPLETED'
  | 'FAILED'
  | 'ABORTED'

/**
 * Everything that the operator, CLI and UI need to know of a job, as one small document. Level, not
 * edge: each one is complete.
 */
export interface JobFacts {
  readonly version: string
  readonly job: { readonly namespace: string; readonly name: string; readonly uid: string }
  readonly run: RunNumber
  readonly leading: boolean
  readonly leader: string | undefined
  readonly epoch: Epoch
  readonly attempt: AttemptId | undefined
  readonly state: JobState
  readonly stateSince: number
  /** In words, why the state is what it is. */
  readonly message: string
  /** What the job, or a checkpoint of it, has been waiting for, the longest first. */
  readonly waits: readonly WaitView[]
  readonly error: ErrorData | undefined
  readonly restarts: number
  readonly parallelism: number
  readonly slots: { readonly free: number; readonly total: number; readonly wanted: number }
  readonly taskManagers: number
  readonly planHash: string | undefined
  readonly guarantee: 'exactly-once' | 'at-least-once' | undefined
  readonly storagePath: string
  readonly restoredFrom: string | undefined
  /** Of the running attempt; `perSecond` is of those that enter. */
  readonly records: {
    readonly in: number
    readonly out: number
    readonly perSecond: number
    readonly outPerSecond: number
  }
  /** How far event time has come at all sinks; null: the job has none, or it has not begun. */
  readonly watermark: number | null
  /** Of the running attempt, over all its subtasks. */
  readonly skipped: SkippedCounts
  readonly checkpoint: {
    readonly phase: CheckpointPhase
    readonly inProgress: number | undefined
    readonly completed: number
    readonly failed: number
    readonly consecutiveFailures: number
    readonly last:
      | {
          readonly id: CheckpointId
          readonly completedAt: number
          readonly path: string
          readonly sizeBytes: number
          readonly durationMs: number
        }
      | undefined
    readonly lastFailure:
      | {
          readonly id: CheckpointId
          readonly at: number
          readonly reason: FailureReason
          readonly message: string
        }
      | undefined
  }
  /** Savepoints, manual checkpoints and stops by trigger id, newest 20. */
  readonly operations: readonly OperationView[]
  /** Newest first, at most ten. */
  readonly recoveries: readonly RecoveryView[]
}

export interface WaitView {
  /**
   * slots: too few to deploy. store: it cannot be written, or does not answer. checkpoint: subtasks
   * that have not done their part. operator: a call of the job's code that does not return. source:
   * one that watches a place where nothing is.
   */
  readonly kind: 'slots' | 'store' | 'checkpoint' | 'operator' | 'source'
  readonly since: number
  /** What is waited for, in words; the same for as long as it lasts, but for the subtasks. */
  readonly message: string
}

export interface RecoveryView {
  readonly at: number
  readonly cause: string
  readonly checkpointId: CheckpointId | undefined
  readonly detectMs: number
  readonly electMs: number
  readonly scheduleMs: number
  readonly restoreMs: number
  readonly firstRecordMs: number | undefined
}

export interface OperationView {
  readonly triggerId: string
  readonly type: 'checkpoint' | 'savepoint' | 'stop'
  readonly status: 'InProgress' | 'Completed' | 'Failed'
  readonly checkpointId?: CheckpointId
  readonly path?: string
  readonly sizeBytes?: number
  readonly startedAt: number
  readonly completedAt?: number
  readonly error?: ErrorData
  readonly maxParallelism?: number
  /** Of the files of a completed savepoint: FORMAT_VERSION of checkpoint-records.ts. */
  readonly formatVersion?: number
}

/**
 * Body of POST /jobs/:job/savepoints. Requests with the same trigger id take one savepoint.
 * `path`: directory or URL; absent: below the job's storage.
 */
export interface SavepointRequest {
  readonly triggerId?: string
  readonly path?: string
}

/** Body of POST /jobs/:job/pins. */
export interface PinRequest {
  /** URL of a retained checkpoint of this job: its directory, or the manifest.json in it. */
  readonly path: string
  /** Who starts from it; a later pin by the same replaces this one. For people, and in the log. */
  readonly by: string
}

export interface PinView {
  readonly id: CheckpointId
  /** The leader's wall clock, ms since the epoch: until then the checkpoint is not retired. */
  readonly until: number
}

/** Body of POST /jobs/:job/stop. A checkpoint lies in the job's storage, so it takes no path. */
export type StopRequest = {
  readonly triggerId?: string
  readonly drain?: boolean
} & ({ readonly mode: 'checkpoint' } | { readonly mode: 'savepoint'; readonly path?: string })

/** Answer to a request that the JobManager works on: find it in JobFacts.operations. */
export interface Triggered {
  readonly triggerId: string
}

export interface CheckpointView {
  readonly id: CheckpointId
  readonly status: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED'
  readonly is_savepoint: boolean
  readonly trigger_timestamp: number
  readonly latest_ack_timestamp: number | undefined
  readonly state_size: number
  readonly delta_size: number
  readonly end_to_end_duration: number
  readonly num_subtasks: number
  readonly num_acknowledged_subtasks: number
  readonly external_path: string | undefined
  readonly failure_reason: FailureReason | undefined
  readonly failure_message: string | undefined
}

export interface CheckpointsView {
  readonly counts: { restored: number; total: number; in_progress: number; completed: number; failed: number }
  readonly latest: {
    completed: CheckpointView | undefined
    failed: CheckpointView | undefined
    savepoint: CheckpointView | undefined
  }
  readonly history: readonly CheckpointView[]
}

export interface SubtaskCheckpointView {
  readonly vertex: string
  readonly subtask: number
  readonly ack_timestamp: number | undefined
  readonly alignment_ms: number
  readonly sync_ms: number
  readonly async_ms: number
  readonly upload_ms: number
  readonly state_size: number
}

export interface CheckpointDetails extends CheckpointView {
  readonly subtasks: readonly SubtaskCheckpointView[]
}

export interface SavepointView {
  readonly id: CheckpointId
  readonly path: string
  readonly sizeBytes: number
  readonly at: number
  readonly stop: boolean
}

export interface ExceptionView {
  readonly at: number
  readonly attempt: AttemptId | undefined
  readonly vertex: string | undefined
  readonly subtask: number | undefined
  readonly taskManager: string | undefined
  readonly error: ErrorData
}

export interface VertexView {
  readonly id: string
  readonly name: string
  readonly parallelism: number
  readonly subtasks: readonly SubtaskView[]
}

export interface SubtaskView extends SkippedCounts {
  readonly subtask: number
  readonly taskManager: string
  readonly state: 'Deploying' | 'Running' | 'Finished'
  readonly recordsIn: number
  readonly recordsOut: number
  readonly busyRatio: number
  readonly backPressuredRatio: number
  readonly watermark: number | null
}

export interface TaskManagerView {
  readonly id: string
  readonly address: string
  readonly slots: number
  readonly freeSlots: number
  readonly lastHeartbeatAgoMs: number
}
