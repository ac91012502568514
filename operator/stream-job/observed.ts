import type { Reason } from '#operator/api/conditions'
import type { StreamJobSpec, StreamJobStatus } from '#operator/api/v1alpha1/stream-job'
import type { KubeObject } from '#operator/resources/object'
import type { JobRef, RunContext } from '#operator/resources/run-context'
import type { FactsView } from './facts.ts'
import type { PodProblem } from './pod-problems.ts'

/** Something that keeps a run from beginning. `needsUser`: waiting alone does not help. */
export interface Blocker {
  readonly reason: Reason
  readonly message: string
  readonly needsUser: boolean
}

/** What a new run would be made from, or why it cannot be made. */
export type Desired =
  | {
      readonly kind: 'ready'
      readonly specHash: string
      readonly module: RunContext['module']
      readonly restore: RestoreTarget | undefined
    }
  | { readonly kind: 'blocked'; readonly specHash: string | undefined; readonly blocker: Blocker }

/** The restore block of the spec, resolved. */
export interface RestoreTarget {
  readonly hash: string
  readonly path?: string
  readonly allowNonRestoredState: boolean
}

export interface Workload {
  readonly name: string
  readonly uid: string
  readonly run: number
  readonly replicas: number
}

/** Everything that a decision depends on; gathered by gather.ts, compared with nothing else. */
export interface Observed {
  readonly object: KubeObject
  readonly job: JobRef
  readonly generation: number
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly spec: StreamJobSpec
  readonly status: StreamJobStatus
  readonly desired: Desired
  /** Hash of the restore block, whether or not it can be resolved. */
  readonly restoreHash: string | undefined
  readonly facts: FactsView
  readonly jobManager: Workload | undefined
  readonly taskManagers: readonly Workload[]
  readonly jobManagerPods: readonly {
    readonly name: string
    readonly isLeader: boolean
    readonly hasAddress: boolean
  }[]
  readonly taskManagerPodCount: number
  readonly podProblem: PodProblem | undefined
  readonly defaultImage: string
  /** `s3://bucket/root` of the job; undefined without storage. */
  readonly storageUrl: string | undefined
  readonly lastSavepoint: { readonly name: string; readonly path: string } | undefined
}
