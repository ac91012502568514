import type { SavepointSpec, SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import type { SavepointObject } from '#operator/resources/object'
import type { TakenSavepoint } from '#operator/resources/taken-savepoint'
import type { FactsView } from '#operator/job-managers/facts-view'

/** Everything that a decision about a Savepoint depends on. */
export interface ObservedSavepoint {
  readonly object: SavepointObject
  readonly uid: string
  readonly name: string
  readonly generation: number
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly spec: SavepointSpec
  readonly status: SavepointStatus
  /** Present on one that the operator made when a run was stopped. */
  readonly madeFor: StopOrigin | undefined
  /** The StreamJob that spec.streamJobRef names. */
  readonly job: JobView | undefined
  /** Of an import: name of a StreamJob that was restored from its path. */
  readonly restoredBy: string | undefined
  readonly facts: FactsView
}

/** What the operator notes on a Savepoint that it makes: the JobManager's words about its files. */
export interface StopOrigin {
  readonly trigger: 'Upgrade' | 'Suspend'
  readonly job: string | undefined
  readonly jobUid: string | undefined
  readonly taken: TakenSavepoint
}

export interface JobView {
  readonly uid: string
  readonly phase: string | undefined
  readonly storageUrl: string | undefined
  /** It has ended, and nothing is under way to change that. */
  readonly isEnded: boolean
  readonly isSuspended: boolean
  /** Where its state is: its newest savepoint or checkpoint. */
  readonly lastPath: string | undefined
}
