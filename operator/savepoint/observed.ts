import type { SavepointSpec, SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import type { SavepointObject } from '#operator/resources/object'
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
  /** Why the operator made it; undefined for one that a user made. */
  readonly madeFor: 'Upgrade' | 'Suspend' | undefined
  readonly madeFromUid: string | undefined
  /** The StreamJob that spec.streamJobRef names. */
  readonly job:
    | { readonly uid: string; readonly phase: string | undefined; readonly storageUrl: string | undefined }
    | undefined
  readonly facts: FactsView
}
