import type { RunNumber } from '#runtime/contract/ids'
import type { Loose } from '#operator/api/compact'
import type { Reason } from '#operator/api/conditions'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { JobManagerAddress } from '#runtime/contract/job-manager-client'
import type { PinRequest, StopRequest } from '#runtime/contract/rest'
import type { TakenSavepoint } from '#operator/resources/taken-savepoint'
import type { Blocker, Observed } from './observed.ts'

/** One change to the world; apply.ts carries it out, and may carry it out again. */
export type Step =
  | { readonly kind: 'writeStatus'; readonly status: Loose<Partial<StreamJobStatus>> }
  | { readonly kind: 'pinSource'; readonly address: JobManagerAddress; readonly request: PinRequest }
  | { readonly kind: 'ensureRun'; readonly run: RunNumber }
  | { readonly kind: 'ensureCheck'; readonly id: string }
  | {
      readonly kind: 'delete'
      readonly resource: 'Deployment' | 'ReplicaSet' | 'ConfigMap' | 'Pod'
      readonly name: string
      /** Protects a successor with the same name. */
      readonly uid?: string
    }
  | {
      readonly kind: 'scale'
      readonly resource: 'Deployment' | 'ReplicaSet'
      readonly name: string
      readonly replicas: number
    }
  | { readonly kind: 'labelLeader'; readonly pod: string; readonly isLeader: boolean }
  | { readonly kind: 'requestStop'; readonly request: StopRequest }
  | {
      readonly kind: 'createSavepoint'
      readonly name: string
      readonly path: string
      readonly trigger: 'Upgrade' | 'Suspend'
      readonly taken: TakenSavepoint
    }
  | {
      readonly kind: 'event'
      readonly type: 'Normal' | 'Warning'
      readonly reason: Reason
      readonly message: string
    }
export type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>

export type PolicyName =
  | 'noteResolved'
  | 'noteOutcome'
  | 'checkRun'
  | 'stopRun'
  | 'beginRun'
  | 'keepRun'
  | 'releaseRun'
  | 'paused'
  | 'nothing'

export interface Plan {
  /** The policy that made it. */
  readonly policy: PolicyName
  /** Why, in words: for the log, and for the status while a run is being stopped. */
  readonly message: string
  readonly steps: readonly Step[]
  /** Present where a new run is wanted and cannot begin. */
  readonly blocker?: Blocker
  /** What would be done, in words, were the operator not to leave the job alone. */
  readonly held?: string
  readonly requeueAfterMs?: number
}

/** Undefined: it has nothing to say, and the next policy decides. */
export type Policy = (o: Observed) => Plan | undefined
