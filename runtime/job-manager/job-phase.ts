import type { ErrorData } from '#runtime/base/errors'
import type { LogRecordOf, RestorePoint, RunEnd } from '#runtime/contract/checkpoint-records'
import type { RestoreChoice } from '#runtime/restore/choose-restore-point'
import type { JobState as ShownState } from '#runtime/contract/rest'
import type { DeployProgress } from '#runtime/contract/rpc'
import type { Answer, Attempt } from './attempt.ts'

/** How a run ends for good. */
export type CloseStatus = Exclude<LogRecordOf<'CLOSE'>['status'], 'Canceled'>

/** What must be certain before the log may be asked for the next step. */
export interface Waits {
  /** The coordinator: a checkpoint whose record may be in the log already. */
  readonly settled: boolean
  /** A DEPLOY record that was under way. */
  readonly logged: boolean
}

/**
 * The phases of a job under one term, with their data.
 *
 * | phase | waits for | ends by |
 * | --- | --- | --- |
 * | Looking | TaskManagers to say what they run | all of it found, or the adoption limit |
 * | WaitingForSlots | enough slots | TaskManagers registering |
 * | Deploying | verification, the DEPLOY record, every TaskManager restored and connected | all `deployed`; no progress within the limit |
 * | Running | nothing | failure, stop, end of data |
 * | Stopping | the last checkpoint or savepoint, then the commits of its sinks | both; no progress within the limit |
 * | Restarting | what is in doubt, and the restart delay | all of it over |
 * | Closing | what is in doubt, then the CLOSE record | the record in the log |
 * | Closed | nothing: the run has ended | - |
 * | Over | nothing: the term has ended | - |
 */
export type Phase =
  | { readonly kind: 'Looking'; readonly answers: ReadonlyMap<string, Answer> }
  | { readonly kind: 'WaitingForSlots' }
  | Deploying
  | { readonly kind: 'Running'; readonly attempt: Attempt; readonly moving: Moving | undefined }
  | Stopping
  | Restarting
  | Closing
  | { readonly kind: 'Closed'; readonly status: CloseStatus }
  | { readonly kind: 'Over' }

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
}

export interface Restarting {
  readonly kind: 'Restarting'
  readonly waits: Waits
  readonly delayed: boolean
  /** Of the stop that failed, unless its checkpoint turns out to be in the log. */
  readonly stops: readonly StopRequest[]
}

/** Somebody wants the run to end with a last checkpoint or savepoint. */
export interface StopRequest {
  readonly triggerId: string
  readonly savepoint: { readonly path: string | undefined } | undefined
  readonly drain: boolean
}

export interface Closing {
  readonly kind: 'Closing'
  readonly status: CloseStatus
  readonly attempt: Attempt | undefined
  readonly waits: Waits
  readonly committedUpTo: number
  /** Failed: why. */
  readonly error: ErrorData | undefined
}

export type PhaseKind = Phase['kind']
export type PhaseOf<K extends PhaseKind> = Extract<Phase, { kind: K }>

/** The edges between phases; every phase but the last may also go to Over. */
export const TRANSITIONS = {
  Looking: ['WaitingForSlots', 'Running', 'Stopping', 'Deploying', 'Closing'],
  WaitingForSlots: ['Deploying', 'Closing'],
  Deploying: ['Running', 'Restarting', 'Closing'],
  Running: ['Stopping', 'Restarting', 'Closing'],
  Stopping: ['Running', 'Restarting', 'Closing'],
  Restarting: ['WaitingForSlots', 'Deploying', 'Closing'],
  Closing: ['Closed'],
  Closed: [],
  Over: [],
} as const satisfies Record<PhaseKind, readonly PhaseKind[]>

/** The state by which a phase is known in REST, status and the command line. */
export function shownState(phase: Phase): ShownState {
  switch (phase.kind) {
    case 'Looking':
    case 'WaitingForSlots':
      return 'WaitingForSlots'
    case 'Closing':
      return 'Stopping'
    case 'Closed':
      return phase.status
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
