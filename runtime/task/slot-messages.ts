/** Messages between a TaskManager's main thread and a slot's thread. */
import type { ErrorData } from '#runtime/base/errors'
import type { Lineage, StoredState } from '#runtime/contract/checkpoint-records'
import type { LogLevel } from '#runtime/base/logger'
import type { CheckpointId, Epoch } from '#runtime/contract/ids'
import type { JobIdentity } from '#runtime/contract/job-options'
import type { S3Access } from '#runtime/contract/process-config'
import type {
  CommitPermit,
  Barrier,
  DeclineReason,
  Deployment,
  SourceWait,
  SubtaskMetrics,
  SubtaskRef,
} from '#runtime/contract/rpc'
import type { RestoreInput } from '#runtime/restore/subtask-restore'

/** One end of a channel between two slots of a process. */
export interface SlotPort {
  postMessage(parcel: ExchangeParcel, transfer: ArrayBuffer[]): void
  on(event: 'message', listener: (parcel: ExchangeParcel) => void): unknown
}

export interface SlotAssignment {
  readonly job: JobIdentity
  readonly taskManager: string
  readonly slot: number
  readonly logLevel: LogLevel
  readonly s3: S3Access | undefined
  readonly deployment: Omit<Deployment, 'restore'>
  /** What the restored state is to this job. */
  readonly lineage: Lineage
  /** By `vertex/subtask`. */
  readonly restore: Readonly<Record<string, RestoreInput>>
  /** Ports to the other slots of this process, by slot. */
  readonly siblings: ReadonlyMap<number, SlotPort>
}

/**
 * Frames (element/frame.ts) for channels that end in the receiver, and credits for channels that
 * start there: [channel, count, channel, count ...].
 */
export interface ExchangeParcel {
  readonly frames: readonly Uint8Array[]
  readonly credits: readonly number[]
}

export type ToSlot =
  | { readonly type: 'deploy'; readonly assignment: SlotAssignment }
  | { readonly type: 'start' }
  /** A new leader goes on with this attempt: every barrier of a lower epoch is void. */
  | { readonly type: 'adopt'; readonly epoch: Epoch }
  | { readonly type: 'trigger'; readonly barrier: Barrier }
  | { readonly type: 'complete'; readonly permit: CommitPermit }
  | { readonly type: 'abort'; readonly epoch: Epoch; readonly checkpointId: CheckpointId }
  | { readonly type: 'parcel'; readonly parcel: ExchangeParcel }
  | { readonly type: 'metrics' }
  /** Close the operators; answered by `closed`, after which nothing is sent any more. */
  | { readonly type: 'close' }

export type FromSlot =
  /** A task has restored its state and is open, or has come a step nearer; `ready` when all are. */
  | { readonly type: 'opened' }
  | { readonly type: 'ready' }
  | { readonly type: 'closed' }
  | { readonly type: 'failed'; readonly subtask: SubtaskRef | undefined; readonly error: ErrorData }
  | { readonly type: 'firstRecord' }
  | { readonly type: 'finished'; readonly subtask: SubtaskRef }
  | {
      readonly type: 'snapshot'
      readonly subtask: SubtaskRef
      readonly barrier: Barrier
      readonly mode: 'full' | 'delta'
      readonly uids: readonly string[]
      readonly states: readonly StoredState[]
      readonly keyed: Uint8Array | undefined
      readonly lists: Uint8Array | undefined
      readonly alignmentMs: number
      readonly syncMs: number
      readonly asyncMs: number
    }
  | {
      readonly type: 'snapshotFailed'
      readonly subtask: SubtaskRef
      readonly barrier: Barrier
      readonly reason: DeclineReason
      readonly error: ErrorData
    }
  | { readonly type: 'committed'; readonly subtask: SubtaskRef; readonly checkpointId: CheckpointId }
  | {
      readonly type: 'parcel'
      readonly taskManager: string
      readonly slot: number
      readonly parcel: ExchangeParcel
    }
  | {
      readonly type: 'metrics'
      readonly subtasks: readonly SubtaskMetrics[]
      readonly waits: readonly SourceWait[]
    }
