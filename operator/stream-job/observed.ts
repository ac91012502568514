import type { RunNumber } from '#runtime/contract/ids'
import type { Reason } from '#operator/api/conditions'
import type { StreamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { JobManagerAddress } from '#runtime/contract/job-manager-client'
import type { FactsView } from '#operator/job-managers/facts-view'
import type { StreamJobObject } from '#operator/resources/object'
import type { Drift, Resolved } from '#operator/resources/resolved'
import type { JobRef, RunContext } from '#operator/resources/run-context'
import type { ScaleLimit } from '#operator/resources/scale'
import type { Check } from './check.ts'
import type { PodProblem } from './pod-problems.ts'

/** Something that keeps a run from beginning. */
export interface Blocker {
  readonly reason: Reason
  readonly message: string
  /** Waiting alone does not help. */
  readonly needsUser: boolean
}

/** What a new run would be made from, or why it cannot be made. */
export type Desired =
  | {
      readonly kind: 'ready'
      readonly specHash: string
      /** The same, were the number of TaskManagers that of the current run. */
      readonly unscaledHash: string
      readonly module: RunContext['module']
      readonly restore: RestoreTarget | undefined
      /** Storage and Redis of a run that begins now. */
      readonly resolved: Resolved
    }
  | {
      readonly kind: 'blocked'
      readonly specHash: string | undefined
      readonly unscaledHash: string | undefined
      readonly blocker: Blocker
    }

/** The restore block of the spec, resolved. */
export interface RestoreTarget {
  readonly hash: string
  /** Absent: start empty. */
  readonly path?: string
  readonly allowNonRestoredState: boolean
}

/**
 * Another StreamJob of the namespace, one of whose checkpoints the restore block names. While it
 * runs it retires its checkpoints, so its leader is asked to keep that one.
 */
export interface RestoreSource {
  readonly name: string
  readonly leader: JobManagerAddress | undefined
  /** It runs and has no leader at this moment: one is expected soon. */
  readonly isAwaited: boolean
  /** It runs, and has had no leader that the operator hears for too long to wait on. */
  readonly isSilent: boolean
}

/** A Deployment or ReplicaSet of the job. */
export interface Workload {
  readonly name: string
  readonly uid: string
  readonly run: RunNumber
  readonly replicas: number
}

/** A JobManager pod of the current run that is not being deleted. */
export interface JobManagerPod {
  readonly name: string
  /** It has the label that the REST Service selects. */
  readonly isLeader: boolean
  readonly hasAddress: boolean
  /**
   * Its readiness probe says so: the process lives and has reached the store and Redis. Since when,
   * in milliseconds since the epoch; undefined: it is not.
   */
  readonly readySince: number | undefined
}

/** Everything that a decision about a StreamJob depends on; plain data, made by gather.ts. */
export interface Observed {
  readonly object: StreamJobObject
  readonly job: JobRef
  readonly generation: number
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly spec: StreamJobSpec
  readonly status: StreamJobStatus
  readonly desired: Desired
  /** `spec` has what is granted. */
  readonly scaleLimit: ScaleLimit | undefined
  /** Value of annotation weir.dev/restartedAt, cut to what the status can hold. */
  readonly restartedAt: string | undefined
  /** Value of annotation weir.dev/reconcile. */
  readonly reconcile: string | undefined
  /** Hash of the restore block, whether or not it can be resolved. */
  readonly restoreHash: string | undefined
  readonly restoreSource: RestoreSource | undefined
  readonly facts: FactsView
  readonly jobManager: Workload | undefined
  readonly taskManagers: readonly Workload[]
  /** The operator's key has changed, so it cannot speak with the pods of the current run. */
  readonly isTokenLost: boolean
  readonly jobManagerPods: readonly JobManagerPod[]
  readonly taskManagerPodCount: number
  readonly podProblem: PodProblem | undefined
  /** Pods that check a next run; mostly none. */
  readonly checks: readonly Check[]
  readonly defaultImage: string
  /**
   * Storage and Redis of the current run: as the status has it, else read from the ConfigMap of the
   * run; undefined before the first run, or where both are gone.
   */
  readonly resolved: Resolved | undefined
  /** Defaults of the operator that are not those that the job uses. */
  readonly drifts: readonly Drift[]
  /** `s3://bucket/root` of the job; undefined before the first run. */
  readonly storageUrl: string | undefined
  readonly lastSavepoint: { readonly name: string; readonly path: string } | undefined
}
