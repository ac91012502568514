import type { RestorePoint } from '#runtime/contract/checkpoint-records'
import type { CommitPermit, Barrier, SubtaskAck, SubtaskDecline, SubtaskRef } from '#runtime/contract/rpc'
import type { Element } from './subtasks.ts'

/**
 * What simulated processes say to each other: the product's RPC, reduced to what the protocol
 * needs.
 */
export type FromJobManager = { readonly epoch: number } & (
  | { readonly type: 'lead' }
  | {
      readonly type: 'deploy'
      readonly attempt: string
      readonly places: Readonly<Record<string, string>>
      readonly restore: RestorePoint
    }
  | { readonly type: 'start'; readonly attempt: string }
  | { readonly type: 'cancel' }
  | { readonly type: 'trigger'; readonly attempt: string; readonly barrier: Barrier }
  | { readonly type: 'complete'; readonly attempt: string; readonly permit: CommitPermit }
  | { readonly type: 'abort'; readonly attempt: string; readonly id: number }
)

/** What a TaskManager has at the moment. */
export interface TaskManagerReport {
  readonly type: 'report'
  /** Of the leader that asked; 0 on a new connection. */
  readonly epoch: number
  readonly attempt: string | undefined
  readonly running: boolean
  readonly highestId: number
  /** Sources that have emitted everything. */
  readonly finished: readonly number[]
}

export type FromTaskManager =
  | TaskManagerReport
  | { readonly type: 'deployed'; readonly attempt: string }
  | { readonly type: 'failed'; readonly attempt: string; readonly why: string }
  | { readonly type: 'finished'; readonly attempt: string; readonly source: number }
  | { readonly type: 'committed'; readonly attempt: string; readonly sink: number; readonly id: number }
  | { readonly type: 'ack'; readonly ack: SubtaskAck }
  | { readonly type: 'decline'; readonly decline: SubtaskDecline }
  | { readonly type: 'fenced'; readonly epoch: number }

export interface DataMessage {
  readonly type: 'data'
  readonly attempt: string
  readonly to: SubtaskRef
  readonly from: SubtaskRef
  readonly element: Element
}
