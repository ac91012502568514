import type { ErrorData } from '#runtime/base/errors'
import type { RestorePoint, RunEnd } from '#runtime/contract/checkpoint-records'
import type { CheckpointId } from '#runtime/contract/ids'
import type { RestoreChoice } from '#runtime/restore/choose-restore-point'
import type { JobState as ShownState } from '#runtime/contract/rest'
import type { DeployProgress } from '#runtime/contract/rpc'
import type { Answer, Attempt } from './attempt.ts'

/** How a run ends for good. `committedUpTo`: every sink has committed up to this id. */
export type RunOutcome =
  | { readonly status: RunEnd; readonly committedUpTo: CheckpointId }
  | { readonly status: 'Failed'; readonly error: ErrorData }
export type CloseStatus = RunOutcome['status']

/** What must be certain before the log may be asked for the next step. */
export interface Waits {
  /** The coordinator: a checkpoint whose record may be in the log already. */
  readonly settled: boolean
  /** A DEPLOY record that was under way. */
  readonly logged: boolean
}

/** The phases of a job under one term, with their data; WAITS_FOR says what each is about. */
export type Phase =
  | { readonly kind: 'Looking'; readonly answers: ReadonlyMap<string, Answer> }
  | { readonly kind: 'WaitingForSlots' }
  | Deploying
  | { readonly kind: 'Running'; readonly attempt: Attempt; readonly moving: Moving | undefined }
  | Stopping
  | Restarting
  | Closing
  | { readonly kind: 'Closed'; readonly outcome: RunOutcome }
  | { readonly kind: 'Over'; readonly error: ErrorData }

export interface Deploying {
  readonly kind: 'Deploying'
  readonly attempt: Attempt
  /** Tells its answers from those of an earlier deployment. */
  readonly deployment: number
  readonly choice: RestoreChoice
  /** Once verified. */
  readonly point: RestorePoint | undefined
  /** refused: the record was not taken, and is sent again later. */
  readonly step: 'verifying' | 'logging' | 'refused' | 'restoring'
  /** Verifications and refused records so far, for the backoff. */
  readonly tries: number
  readonly deployed: ReadonlySet<string>
  readonly progress: ReadonlyMap<string, DeployProgress>
}

/** A TaskManager leaves in an orderly way; the job moves once there is room elsewhere. */
export interface Moving {
  readonly cause: string
  /** The checkpoint that is taken before; undefined while waiting for room. */
  readonly request: string | undefined
}

export interface Stopping {
  readonly kind: 'Stopping'
  readonly attempt: Attempt
  readonly end: RunEnd
  readonly savepoint: { readonly path: string | undefined } | undefined
  /** Trigger id of the checkpoint under way; undefined while the next try waits. */
  readonly request: string | undefined
  /** The completed one, whose commits are waited for. */
  readonly id: number | undefined
  /** Checkpoints that failed so far, for the backoff. */
  readonly tries: number
}

export interface Restarting {
  readonly kind: 'Restarting'
  /** Why the attempt before has ended. */
  readonly error: ErrorData
  readonly waits: Waits
  readonly delayed: boolean
  /** Stops that failed with the attempt, unless their checkpoint turns out to be in the log. */
  readonly failing: readonly StopRequest[]
}

/** Somebody wants the run to end with a last checkpoint or savepoint. */
export interface StopRequest {
  readonly triggerId: string
  readonly savepoint: { readonly path: string | undefined } | undefined
  readonly drain: boolean
}

export interface Closing {
  readonly kind: 'Closing'
  readonly outcome: RunOutcome
  /** Still to be cancelled. */
  readonly attempt: Attempt | undefined
  readonly waits: Waits
  /** Refused records so far, for the backoff. */
  readonly tries: number
}

export type PhaseKind = Phase['kind']
export type PhaseOf<K extends PhaseKind> = Extract<Phase, { kind: K }>

/** The edges between phases. Every phase but Closed may also go to Over, when its term ends. */
export const TRANSITIONS = {
  Looking: ['WaitingForSlots', 'Running', 'Stopping', 'Deploying'],
  WaitingForSlots: ['Deploying', 'Closing'],
  Deploying: ['Running', 'Restarting', 'Closing'],
  Running: ['Stopping', 'Restarting', 'Closing'],
  Stopping: ['Running', 'Restarting', 'Closing'],
  Restarting: ['WaitingForSlots', 'Deploying', 'Closing'],
  Closing: ['Closed'],
  Closed: [],
  Over: [],
} as const satisfies Record<PhaseKind, readonly PhaseKind[]>

/** What a phase waits for, for people: docs/reference/job-phases.md is made from it. */
export const WAITS_FOR: Readonly<Record<PhaseKind, string>> = {
  Looking: 'TaskManagers to say what they run, for 2 s at most: what runs whole is adopted',
  WaitingForSlots: 'enough slots',
  Deploying:
    'the restore point to be verified, the DEPLOY record to be in the log, every TaskManager to have ' +
    'restored its state and connected; 60 s without any progress is a failure',
  Running: 'nothing: a failure, a stop or the end of the data ends it',
  Stopping:
    'the last checkpoint or savepoint, then the commits of its sinks; 60 s without a commit is a failure',
  Restarting: 'what is in doubt to be certain, and the restart delay',
  Closing: 'what is in doubt to be certain, then the CLOSE record to be in the log',
  Closed: 'nothing: the run has ended',
  Over: 'nothing: another JobManager leads, or this one has stopped',
}

/** The state by which a phase is known in REST, status and the command line. */
export function shownState(phase: Phase): ShownState {
  switch (phase.kind) {
    case 'Looking':
    case 'WaitingForSlots':
      return 'WaitingForSlots'
    case 'Closing':
      return 'Stopping'
    case 'Closed':
      return phase.outcome.status
    case 'Over':
      return 'Created'
    default:
      return phase.kind
  }
}

/** The attempt under way, if any. */
export function attemptOf(phase: Phase): Attempt | undefined {
  return 'attempt' in phase ? phase.attempt : undefined
}
