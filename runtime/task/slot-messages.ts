import type { MessagePort } from 'node:worker_threads'
import type { ErrorData } from '#runtime/base/errors'
import type { LogLevel } from '#runtime/base/logger'
import type { JobIdentity } from '#runtime/contract/job-options'
import type { S3Access } from '#runtime/contract/process-config'
import type { CommitPermit, Barrier, Deployment, SubtaskMetrics, SubtaskRef } from '#runtime/contract/rpc'
import type { RestoreInput } from '#runtime/restore/subtask-restore'

/** Between a TaskManager's main thread and a slot's thread. */
export interface SlotAssignment {
  readonly job: JobIdentity
  readonly taskManager: string
  readonly slot: number
  readonly logLevel: LogLevel
  readonly s3: S3Access | undefined
  readonly deployment: Omit<Deployment, 'restore'>
  /** By `vertex/subtask`. */
  readonly restore: Readonly<Record<string, RestoreInput>>
  /** Ports to the other slots of this process, by slot. */
  readonly siblings: ReadonlyMap<number, MessagePort>
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
  | { readonly type: 'adopt'; readonly epoch: number }
  | { readonly type: 'trigger'; readonly barrier: Barrier }
  | { readonly type: 'complete'; readonly permit: CommitPermit }
  | { readonly type: 'abort'; readonly epoch: number; readonly checkpointId: number }
  | { readonly type: 'parcel'; readonly parcel: ExchangeParcel }
  | { readonly type: 'metrics' }
  /** Close the operators; answered by `closed`, after which nothing is sent any more. */
  | { readonly type: 'close' }

export type FromSlot =
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
      readonly bytes: Uint8Array | undefined
      readonly alignmentMs: number
      readonly syncMs: number
      readonly asyncMs: number
    }
  | {
      readonly type: 'snapshotFailed'
      readonly subtask: SubtaskRef
      readonly barrier: Barrier
      readonly error: ErrorData
    }
  | { readonly type: 'committed'; readonly subtask: SubtaskRef; readonly checkpointId: number }
  | {
      readonly type: 'parcel'
      readonly taskManager: string
      readonly slot: number
      readonly parcel: ExchangeParcel
    }
  | { readonly type: 'metrics'; readonly subtasks: readonly SubtaskMetrics[] }
