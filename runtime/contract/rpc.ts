/**
 * Messages between JobManager and TaskManagers on the control connection (frames of msgpack,
 * net/messages.ts). A TaskManager dials every JobManager and says `hello`; only a leader sends
 * commands. Every command carries the leader's epoch, and where it concerns an execution the
 * attempt: a TaskManager refuses a lower epoch with `fenced`; both sides drop what belongs to
 * another attempt.
 */
import type { ErrorData } from '#runtime/base/errors'
import type { AttemptId, CheckpointId, Epoch, RunNumber } from '#runtime/contract/ids'
import type { RestorePoint, StoredState, SubtaskState } from './checkpoint-records.ts'
import type { ExecutionPlan } from './job-plan.ts'

export interface SubtaskRef {
  readonly vertex: string
  readonly subtask: number
}
export const subtaskKey = (s: SubtaskRef): string => `${s.vertex}/${s.subtask}`

/**
 * A checkpoint as the tasks see it; identified by (epoch, id). Travels in band behind the records
 * it covers.
 */
export interface Barrier {
  readonly epoch: Epoch
  readonly id: CheckpointId
  /**
   * Completed checkpoint of this attempt whose files may be reused; 0: write everything. Savepoints
   * always 0.
   */
  readonly base: CheckpointId
  readonly kind: 'checkpoint' | 'savepoint'
  /** Directory (store key) that state files of this barrier go to. */
  readonly directory: string
  /** After this barrier tasks emit and read nothing more until they are cancelled. */
  readonly stop: boolean
  /**
   * With stop: event time is brought to its end first, so that windows fire; the job must not be
   * resumed from it by the same sources.
   */
  readonly drain: boolean
}

/**
 * Proof that a CHECKPOINT (or stop SAVEPOINT) record is in the log; made by the JobManager after
 * the append, carried to sinks.
 */
export interface CommitPermit {
  readonly checkpointId: CheckpointId
  readonly epoch: Epoch
}

export interface SubtaskAck extends SubtaskRef {
  readonly attempt: AttemptId
  readonly epoch: Epoch
  readonly checkpointId: CheckpointId
  readonly uids: readonly string[]
  readonly states: readonly StoredState[]
  readonly state: SubtaskState
  readonly sizeBytes: number
  readonly deltaBytes: number
  readonly alignmentMs: number
  readonly syncMs: number
  readonly asyncMs: number
  readonly uploadMs: number
}

export type DeclineReason = 'CHECKPOINT_DECLINED' | 'CHECKPOINT_ASYNC_EXCEPTION' | 'SINK_PREPARE_FAILED'

export interface SubtaskDecline extends SubtaskRef {
  readonly attempt: AttemptId
  readonly epoch: Epoch
  readonly checkpointId: CheckpointId
  readonly reason: DeclineReason
  readonly error: ErrorData
}

export interface SubtaskPlace extends SubtaskRef {
  readonly taskManager: string
  readonly slot: number
}

export interface Deployment {
  readonly attempt: AttemptId
  readonly planHash: string
  readonly plan: ExecutionPlan
  /** Default parallelism that the plan was built with. */
  readonly parallelism: number
  readonly module: {
    readonly sha256: string
    readonly name: string
    readonly source: string
    readonly args: Readonly<Record<string, unknown>>
  }
  readonly places: readonly SubtaskPlace[]
  /** `host:port` of every TaskManager's data server by id. */
  readonly dataAddresses: Readonly<Record<string, string>>
  readonly restore: RestorePoint
  /** What sinks need to know of the job's past besides the transactions that they restore. */
  readonly sinks: SinkHistory
}

/** A savepoint that the log names: transactions prepared in its attempt up to its id are spared. */
export interface LoggedSavepoint {
  readonly attempt: AttemptId
  readonly id: CheckpointId
}

export interface SinkHistory {
  /**
   * Transactions up to this checkpoint id are known to be committed: every sink said so. 0: nothing
   * is known.
   */
  readonly committedUpTo: CheckpointId
  readonly savepoints: readonly LoggedSavepoint[]
}

/** What an attempt has not processed or published although it was there; all only grow. */
export interface SkippedCounts {
  /** Records that came after their window had closed, and that no side output takes. */
  readonly lateDropped: number
  /** Records that a source could not read and was told to leave out. */
  readonly badRecords: number
  /** Transactions that were committed before and whose output has been taken away. */
  readonly skippedCommits: number
  /** Prepared transactions of the job that this one is a fork of: left to that job. */
  readonly leftPending: number
}

export interface SubtaskMetrics extends SubtaskRef, SkippedCounts {
  readonly recordsIn: number
  /** To other vertices. */
  readonly recordsOut: number
  /** Given to sinks. */
  readonly recordsWritten: number
  readonly busyMs: number
  readonly backPressuredMs: number
  readonly watermark: number
}

/** What a source waits for that may never come, such as a path that does not exist. */
export interface SourceWait {
  /** Wall clock. */
  readonly since: number
  readonly message: string
}

/** Something on a TaskManager that does not go on. */
export interface Standstill {
  /**
   * operator: a call of the job's code does not return. store: state cannot be written. source: it
   * finds nothing to read.
   */
  readonly kind: 'operator' | 'store' | 'source'
  /** How long already. */
  readonly forMs: number
  /** In words, the same for as long as it lasts. */
  readonly message: string
}

/** How far a deployment has got; both only grow, and what does not grow for long is stuck. */
export interface DeployProgress {
  readonly restoredBytes: number
  /** Files read, operators opened, connections made: anything that a wait of its own ended with. */
  readonly steps: number
}

/** What a TaskManager runs, told to a new leader so that it may adopt it. */
export interface ExecutionReport {
  readonly attempt: AttemptId
  readonly planHash: string
  readonly places: readonly SubtaskPlace[]
  /** Stopped: behind a stop barrier, where only commits are left to do. */
  readonly state: 'Deploying' | 'Running' | 'Stopped' | 'Failed'
  /** Greatest id of a barrier seen. */
  readonly highestCheckpointId: CheckpointId
}

export type FromJobManager =
  | { readonly type: 'welcome'; readonly leader: boolean; readonly epoch: Epoch; readonly id: string }
  | { readonly type: 'deploy'; readonly epoch: Epoch; readonly deployment: Deployment }
  | { readonly type: 'start'; readonly epoch: Epoch; readonly attempt: AttemptId }
  /**
   * Goes on with the attempt under this epoch: what is pending of lower epochs is given up, reports
   * go to the sender from now on.
   */
  | { readonly type: 'adopt'; readonly epoch: Epoch; readonly attempt: AttemptId }
  | { readonly type: 'cancel'; readonly epoch: Epoch; readonly attempt: AttemptId; readonly why: string }
  | {
      readonly type: 'trigger'
      readonly epoch: Epoch
      readonly attempt: AttemptId
      readonly barrier: Barrier
    }
  | {
      readonly type: 'complete'
      readonly epoch: Epoch
      readonly attempt: AttemptId
      readonly permit: CommitPermit
    }
  | {
      readonly type: 'abort'
      readonly epoch: Epoch
      readonly attempt: AttemptId
      readonly checkpointId: CheckpointId
    }

export type FromTaskManager =
  | {
      readonly type: 'hello'
      readonly wire: number
      readonly version: string
      readonly token: string
      readonly jobUid: string
      readonly run: RunNumber
      readonly id: string
      readonly slots: number
      readonly dataAddress: string
    }
  | {
      readonly type: 'heartbeat'
      readonly freeSlots: number
      readonly attempt: AttemptId | undefined
      /** While the attempt is being deployed. */
      readonly progress: DeployProgress | undefined
      readonly subtasks: readonly SubtaskMetrics[]
      readonly standstills: readonly Standstill[]
    }
  /** Answer to a leader's welcome, and to `adopt`: what runs here now. */
  | { readonly type: 'execution'; readonly epoch: Epoch; readonly report: ExecutionReport | undefined }
  /**
   * Every subtask of the deployment on this TaskManager is restored and connected; `start` makes
   * them read.
   */
  | { readonly type: 'deployed'; readonly attempt: AttemptId; readonly restoreMs: number }
  | { readonly type: 'deployFailed'; readonly attempt: AttemptId; readonly error: ErrorData }
  | { readonly type: 'firstRecord'; readonly attempt: AttemptId }
  | { readonly type: 'finished'; readonly attempt: AttemptId; readonly subtask: SubtaskRef }
  | {
      readonly type: 'failed'
      readonly attempt: AttemptId
      readonly subtask: SubtaskRef | undefined
      readonly error: ErrorData
    }
  | { readonly type: 'ack'; readonly ack: SubtaskAck }
  | { readonly type: 'decline'; readonly decline: SubtaskDecline }
  /** Sinks of the subtask have committed everything up to the id. */
  | {
      readonly type: 'committed'
      readonly attempt: AttemptId
      readonly subtask: SubtaskRef
      readonly checkpointId: CheckpointId
    }
  | { readonly type: 'fenced'; readonly epoch: Epoch }
  | { readonly type: 'leaving'; readonly why: string }
