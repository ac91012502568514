import type { BackoffOptions } from '#runtime/base/backoff'
import type { ErrorData, WeirError } from '#runtime/base/errors'
import type { CheckpointRequest } from '#runtime/checkpoint/coordinator'
import type { LogState } from '#runtime/commit-log/log-state'
import type { LogRecordOf, RestorePoint, RunEnd } from '#runtime/contract/checkpoint-records'
import type { FailureReason } from '#runtime/contract/failure-reasons'
import type { AttemptId, CheckpointId, Epoch, RunNumber } from '#runtime/contract/ids'
import type { RestartOptions, RestoreOptions } from '#runtime/contract/job-options'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { DeployProgress, ExecutionReport, FromJobManager, SubtaskRef } from '#runtime/contract/rpc'
import type { RestoreChoice } from '#runtime/restore/choose-restore-point'
import type { Attempt, Member } from './attempt.ts'
import type { CloseStatus, Phase, StopRequest } from './job-phase.ts'
import type { FailureHistory } from './restart-strategy.ts'

/** What does not change during a term. */
export interface JobSettings {
  readonly plan: ExecutionPlan
  readonly run: RunNumber
  readonly epoch: Epoch
  /** Slots that the job's TaskManagers have together. */
  readonly expectedSlots: number
  readonly restart: RestartOptions
  readonly restore: RestoreOptions | undefined
  readonly timing: JobTiming
}

/** Bounds of waits, in milliseconds. */
export interface JobTiming {
  /** For TaskManagers to say what they run, before the job is deployed anew. */
  readonly adoptMs: number
  /** Without any progress of a deployment, or of the commits that a stop waits for. */
  readonly noProgressMs: number
  /** For room for the tasks of a leaving TaskManager; less than that TaskManager waits. */
  readonly handOverMs: number
  /** Between tries of what the store does not let happen. */
  readonly retry: BackoffOptions
}

/** Read anew for each event. */
export interface Moment {
  /** Monotonic milliseconds. */
  readonly now: number
  /** [0, 1). */
  readonly random: number
  readonly log: LogState
}

export interface JobState {
  readonly phase: Phase
  /** In words, why the phase is what it is. */
  readonly message: string
  /** Every connected TaskManager. */
  readonly members: readonly Member[]
  readonly failures: FailureHistory
  readonly restarts: number
  /** The last failure, until the job runs again. */
  readonly error: ErrorData | undefined
  /** URL of what the current attempt was restored from. */
  readonly restoredFrom: string | undefined
  /** Not answered yet. */
  readonly stops: readonly StopRequest[]
  /** Makes names that are used once in a term. */
  readonly counter: number
}

export interface Failure {
  readonly error: ErrorData
  readonly subtask: SubtaskRef | undefined
  readonly taskManager: string | undefined
  /** A process or its connection was lost, rather than something in it failed. */
  readonly processLost: boolean
  /** Milliseconds from the last sign of life to the notice. */
  readonly detectMs: number
}

type AppendedKind = 'DEPLOY' | 'CLOSE'

/** `member`: key of the connection that it came by. Events of another attempt are dropped. */
export type JobEvent =
  | { readonly type: 'Registered'; readonly member: Member }
  /** `silentMs`: since its last sign of life. */
  | { readonly type: 'Lost'; readonly member: string; readonly why: string; readonly silentMs: number }
  | { readonly type: 'Leaving'; readonly member: string; readonly why: string }
  | { readonly type: 'Reported'; readonly member: string; readonly report: ExecutionReport | undefined }
  | {
      readonly type: 'Heartbeat'
      readonly member: string
      readonly attempt: AttemptId | undefined
      readonly progress: DeployProgress | undefined
    }
  | { readonly type: 'Deployed'; readonly member: string; readonly attempt: AttemptId }
  | {
      readonly type: 'TaskFailed'
      readonly member: string
      readonly attempt: AttemptId
      readonly subtask: SubtaskRef | undefined
      readonly error: ErrorData
    }
  | { readonly type: 'SubtaskFinished'; readonly attempt: AttemptId; readonly subtask: SubtaskRef }
  | {
      readonly type: 'SubtaskCommitted'
      readonly attempt: AttemptId
      readonly subtask: SubtaskRef
      readonly checkpointId: CheckpointId
    }
  /** `point`: with the lineage that its manifest shows; `url`: undefined for an empty start. */
  | {
      readonly type: 'Verified'
      readonly deployment: number
      readonly point: RestorePoint
      readonly url: string | undefined
    }
  | { readonly type: 'VerifyFailed'; readonly deployment: number; readonly error: ErrorData }
  | { readonly type: 'Appended'; readonly kind: AppendedKind }
  /** Certainly not in the log. */
  | { readonly type: 'Refused'; readonly kind: AppendedKind; readonly error: ErrorData }
  | { readonly type: 'CheckpointDone'; readonly triggerId: string; readonly id: CheckpointId }
  | { readonly type: 'CheckpointFailed'; readonly triggerId: string; readonly error: ErrorData }
  /** The coordinator, told to stop, knows what became of the checkpoint that was in flight. */
  | { readonly type: 'Settled' }
  | { readonly type: 'FailureLimit'; readonly error: ErrorData }
  | { readonly type: 'StopRequested'; readonly stop: StopRequest }
  | { readonly type: 'TimeOut' }
  | { readonly type: 'TermOver'; readonly error: WeirError }

type JobEventType = JobEvent['type']
export type JobEventOf<E extends JobEventType> = Extract<JobEvent, { type: E }>

/** A refusal changes nothing about the job. */
export type StopOutcome =
  | { readonly kind: 'closed'; readonly status: RunEnd }
  | { readonly kind: 'failed'; readonly error: ErrorData }

export type JobEffect =
  | { readonly type: 'send'; readonly members: readonly string[]; readonly message: FromJobManager }
  | { readonly type: 'deploy'; readonly attempt: Attempt; readonly point: RestorePoint }
  | { readonly type: 'verify'; readonly deployment: number; readonly choice: RestoreChoice }
  | { readonly type: 'append'; readonly body: LogRecordOf<'DEPLOY'> | LogRecordOf<'CLOSE'> }
  | {
      readonly type: 'startCoordinator'
      readonly attempt: AttemptId
      readonly isRestored: boolean
      /** Greatest checkpoint id that an adopted attempt has seen. */
      readonly highestId: CheckpointId
    }
  /** Answered by Settled. */
  | { readonly type: 'stopCoordinator'; readonly reason: FailureReason }
  /** Answered by CheckpointDone or CheckpointFailed. */
  | { readonly type: 'takeCheckpoint'; readonly request: CheckpointRequest }
  /** The one timer: replaces the earlier one; undefined: none. */
  | { readonly type: 'timer'; readonly delayMs: number | undefined }
  | { readonly type: 'answerStop'; readonly stop: StopRequest; readonly outcome: StopOutcome }
  | { readonly type: 'noteFailure'; readonly failure: Failure; readonly attempt: AttemptId }
  | { readonly type: 'closed'; readonly status: CloseStatus }
  | { readonly type: 'over'; readonly error: WeirError }

export interface Transition {
  readonly state: JobState
  readonly effects: readonly JobEffect[]
  /** Handled where the transition has led, before any other event. */
  readonly raised?: readonly JobEvent[]
}

/** What a phase does about the events that mean something in it; others change nothing. */
export type Handlers<P extends Phase> = {
  readonly [E in JobEventType]?: (at: At<P>, event: JobEventOf<E>) => Transition
}

/** Where an event finds the job. */
export interface At<P extends Phase = Phase> {
  readonly settings: JobSettings
  readonly moment: Moment
  readonly state: JobState
  readonly phase: P
}
