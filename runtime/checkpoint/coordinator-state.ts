import type { SubtaskAck, SubtaskDecline } from '#runtime/contract/rpc'
import type { CheckpointPhase } from '#runtime/contract/rest'
import { FAILURE_REASONS, type FailureReason } from '#runtime/contract/failure-reasons'

/**
 * The coordinator's life as one pure total function: `next(state, event)` has a defined answer for
 * every event in every phase; timers and I/O are outside.
 *
 *   IDLE -CheckpointRequest-> REQUESTING -TriggersSent-> EXECUTING -CheckpointComplete-> COMMITTING -AppendOutcome(appended)-> COMPLETED
 *
 * I1 At most one checkpoint is in flight (REQUESTING, EXECUTING or COMMITTING).
 * I2 Once AppendSent, the record may be in the log already, so nothing may tell the tasks
 *    otherwise: the only exits are COMPLETED, Fenced, and a refusal that proves that the record was
 *    never written.
 * I3 An acknowledgement counts once, and only for the attempt, epoch and id in flight.
 * I4 After Fenced nothing is ever requested again.
 */
export interface CheckpointInFlight {
  readonly attempt: string
  readonly epoch: number
  readonly id: number
  readonly base: number
  readonly kind: 'checkpoint' | 'savepoint'
  readonly stop: boolean
}

export interface TaskStatusUpdate extends Pick<
  SubtaskAck,
  'attempt' | 'epoch' | 'checkpointId' | 'vertex' | 'subtask'
> {}
export interface TaskDecline extends Pick<
  SubtaskDecline,
  'attempt' | 'epoch' | 'checkpointId' | 'vertex' | 'subtask' | 'reason'
> {
  readonly message: string
}

/**
 * COMMITTING: `manifest` until the manifest is stored, `ready` until the append is handed to the
 * log, `sent` until its outcome is known.
 */
export type CommitStep = 'manifest' | 'ready' | 'sent'

export type CoordinatorState =
  | { readonly phase: 'IDLE' }
  | {
      readonly phase: 'REQUESTING' | 'EXECUTING'
      readonly checkpoint: CheckpointInFlight
      readonly missing: ReadonlySet<string>
      readonly acked: ReadonlySet<string>
    }
  | { readonly phase: 'COMMITTING'; readonly checkpoint: CheckpointInFlight; readonly step: CommitStep }
  | { readonly phase: 'COMPLETED'; readonly checkpoint: CheckpointInFlight }
  | {
      readonly phase: 'FAILED' | 'ABORTED'
      readonly checkpoint: CheckpointInFlight | undefined
      readonly reason: FailureReason
    }

export type CoordinatorEvent =
  /** `subtasks`: keys (`vertex/subtask`) of all that must acknowledge; not empty. */
  | {
      readonly type: 'CheckpointRequest'
      readonly checkpoint: CheckpointInFlight
      readonly subtasks: readonly string[]
    }
  | { readonly type: 'TriggersSent'; readonly id: number }
  | { readonly type: 'TaskStatusUpdate'; readonly ack: TaskStatusUpdate }
  /** All acknowledgements are in; raised by the state function itself. */
  | { readonly type: 'CheckpointComplete'; readonly id: number }
  | { readonly type: 'Decline'; readonly decline: TaskDecline }
  | { readonly type: 'Expire'; readonly id: number }
  | { readonly type: 'ManifestWritten'; readonly id: number }
  | {
      readonly type: 'FinalizeFailed'
      readonly id: number
      readonly reason: 'FINALIZE_CHECKPOINT_FAILURE' | 'CORRUPT_UPLOAD'
      readonly message: string
    }
  | { readonly type: 'AppendSent'; readonly id: number }
  | { readonly type: 'AppendOutcome'; readonly id: number; readonly outcome: AppendResult }
  | { readonly type: 'AttemptLost'; readonly attempt: string; readonly reason: FailureReason }
  | { readonly type: 'Fenced' }

/** unknown: it may be in the log. refused: it certainly is not, and never will be. */
export type AppendResult = 'appended' | 'fenced' | 'unknown' | 'refused'

/**
 * SUCCESS: counted. DUPLICATE: the subtask had acknowledged already. UNKNOWN: not of this attempt,
 * epoch or plan. DISCARDED: that checkpoint is not in flight (any more).
 */
export type AckOutcome = 'SUCCESS' | 'DUPLICATE' | 'UNKNOWN' | 'DISCARDED'

export type CoordinatorEffect =
  | { readonly type: 'refuse'; readonly reason: FailureReason }
  | { readonly type: 'sendTriggers' }
  | { readonly type: 'acknowledged'; readonly outcome: AckOutcome }
  | { readonly type: 'raise'; readonly event: CoordinatorEvent }
  | { readonly type: 'writeManifest' }
  | { readonly type: 'sendAppend' }
  | { readonly type: 'completed' }
  /** The checkpoint is over without a record. `notify`: tell the tasks. */
  | {
      readonly type: 'ended'
      readonly checkpoint: CheckpointInFlight
      readonly reason: FailureReason
      readonly message: string
      readonly notify: boolean
    }
  | { readonly type: 'stopped' }

export interface Transition {
  readonly state: CoordinatorState
  readonly effects: readonly CoordinatorEffect[]
}

type EventType = CoordinatorEvent['type']
type EventOf<E extends EventType> = Extract<CoordinatorEvent, { type: E }>
type Row<S extends CoordinatorState> = {
  readonly [E in EventType]: (state: S, event: EventOf<E>) => Transition
}

type Collecting = Extract<CoordinatorState, { phase: 'REQUESTING' | 'EXECUTING' }>
type Committing = Extract<CoordinatorState, { phase: 'COMMITTING' }>
type Resting = Exclude<CoordinatorState, Collecting | Committing>

const stay = (state: CoordinatorState, ...effects: CoordinatorEffect[]): Transition => ({ state, effects })
const ignore = (state: CoordinatorState): Transition => stay(state)
const outcome = (of: AckOutcome): CoordinatorEffect => ({ type: 'acknowledged', outcome: of })
const key = (ref: { readonly vertex: string; readonly subtask: number }) => `${ref.vertex}/${ref.subtask}`

function end(
  checkpoint: CheckpointInFlight,
  reason: FailureReason,
  message: string,
  notify = true,
): Transition {
  return {
    state: { phase: FAILURE_REASONS[reason].counts ? 'FAILED' : 'ABORTED', checkpoint, reason },
    effects: [{ type: 'ended', checkpoint, reason, message, notify }],
  }
}

function fenced(checkpoint: CheckpointInFlight | undefined): Transition {
  const state: CoordinatorState = { phase: 'ABORTED', checkpoint, reason: 'FENCED' }
  const ended: CoordinatorEffect[] =
    checkpoint === undefined
      ? []
      : [{ type: 'ended', checkpoint, reason: 'FENCED', message: FAILURE_REASONS.FENCED.text, notify: false }]
  return { state, effects: [...ended, { type: 'stopped' }] }
}

function concerns(checkpoint: CheckpointInFlight, message: TaskStatusUpdate | TaskDecline): boolean {
  return (
    message.attempt === checkpoint.attempt &&
    message.epoch === checkpoint.epoch &&
    message.checkpointId === checkpoint.id
  )
}

function classify(
  checkpoint: CheckpointInFlight,
  ack: TaskStatusUpdate,
): 'UNKNOWN' | 'DISCARDED' | 'CURRENT' {
  if (ack.attempt !== checkpoint.attempt || ack.epoch !== checkpoint.epoch) return 'UNKNOWN'
  return ack.checkpointId === checkpoint.id ? 'CURRENT' : 'DISCARDED'
}

function onAck(state: Collecting, { ack }: EventOf<'TaskStatusUpdate'>): Transition {
  const concern = classify(state.checkpoint, ack)
  if (concern !== 'CURRENT') return stay(state, outcome(concern))
  const subtask = key(ack)
  if (state.acked.has(subtask)) return stay(state, outcome('DUPLICATE'))
  if (!state.missing.has(subtask)) return stay(state, outcome('UNKNOWN'))
  const missing = new Set(state.missing)
  missing.delete(subtask)
  const acked = new Set(state.acked).add(subtask)
  return stay(
    { ...state, missing, acked },
    outcome('SUCCESS'),
    ...(state.phase === 'EXECUTING' ? raiseComplete(state.checkpoint, missing) : []),
  )
}

function raiseComplete(checkpoint: CheckpointInFlight, missing: ReadonlySet<string>): CoordinatorEffect[] {
  return missing.size > 0 ? [] : [{ type: 'raise', event: { type: 'CheckpointComplete', id: checkpoint.id } }]
}

export const isFenced = (state: CoordinatorState): boolean =>
  state.phase === 'ABORTED' && state.reason === 'FENCED'

const REST: Row<Resting> = {
  CheckpointRequest: (state, event) =>
    isFenced(state)
      ? stay(state, { type: 'refuse', reason: 'FENCED' })
      : {
          state: {
            phase: 'REQUESTING',
            checkpoint: event.checkpoint,
            missing: new Set(event.subtasks),
            acked: new Set(),
          },
          effects: [{ type: 'sendTriggers' }],
        },
  TriggersSent: ignore,
  TaskStatusUpdate: (state, { ack }) => {
    const last = state.phase === 'IDLE' ? undefined : state.checkpoint
    const concern = last === undefined ? 'DISCARDED' : classify(last, ack)
    return stay(
      state,
      outcome(
        concern === 'UNKNOWN'
          ? 'UNKNOWN'
          : state.phase === 'COMPLETED' && concern === 'CURRENT'
            ? 'DUPLICATE'
            : 'DISCARDED',
      ),
    )
  },
  CheckpointComplete: ignore,
  Decline: ignore,
  Expire: ignore,
  ManifestWritten: ignore,
  FinalizeFailed: ignore,
  AppendSent: ignore,
  AppendOutcome: ignore,
  AttemptLost: ignore,
  Fenced: (state) => (isFenced(state) ? ignore(state) : fenced(undefined)),
}

const COLLECT: Row<Collecting> = {
  CheckpointRequest: (state) => stay(state, { type: 'refuse', reason: 'TOO_MANY_CONCURRENT_CHECKPOINTS' }),
  TriggersSent: (state, { id }) =>
    state.phase === 'REQUESTING' && id === state.checkpoint.id
      ? stay({ ...state, phase: 'EXECUTING' }, ...raiseComplete(state.checkpoint, state.missing))
      : ignore(state),
  TaskStatusUpdate: onAck,
  CheckpointComplete: (state, { id }) =>
    state.phase === 'EXECUTING' && id === state.checkpoint.id && state.missing.size === 0
      ? stay(
          { phase: 'COMMITTING', checkpoint: state.checkpoint, step: 'manifest' },
          { type: 'writeManifest' },
        )
      : ignore(state),
  Decline: (state, { decline }) =>
    concerns(state.checkpoint, decline)
      ? end(state.checkpoint, decline.reason, `subtask ${key(decline)} declined: ${decline.message}`)
      : ignore(state),
  Expire: (state, { id }) =>
    id === state.checkpoint.id
      ? end(state.checkpoint, 'CHECKPOINT_EXPIRED', expiredText(state.missing))
      : ignore(state),
  ManifestWritten: ignore,
  FinalizeFailed: ignore,
  AppendSent: ignore,
  AppendOutcome: ignore,
  AttemptLost: (state, { attempt, reason }) =>
    attempt === state.checkpoint.attempt
      ? end(state.checkpoint, reason, FAILURE_REASONS[reason].text)
      : ignore(state),
  Fenced: (state) => fenced(state.checkpoint),
}

const COMMIT: Row<Committing> = {
  CheckpointRequest: (state) => stay(state, { type: 'refuse', reason: 'TOO_MANY_CONCURRENT_CHECKPOINTS' }),
  TriggersSent: ignore,
  TaskStatusUpdate: (state, { ack }) => {
    const concern = classify(state.checkpoint, ack)
    return stay(state, outcome(concern === 'CURRENT' ? 'DUPLICATE' : concern))
  },
  CheckpointComplete: ignore,
  Decline: (state, { decline }) =>
    state.step !== 'sent' && concerns(state.checkpoint, decline)
      ? end(state.checkpoint, decline.reason, `subtask ${key(decline)} declined: ${decline.message}`)
      : ignore(state),
  Expire: (state, { id }) =>
    state.step !== 'sent' && id === state.checkpoint.id
      ? end(
          state.checkpoint,
          'CHECKPOINT_EXPIRED',
          'all tasks acknowledged, but the manifest was not stored within the timeout',
        )
      : ignore(state),
  ManifestWritten: (state, { id }) =>
    state.step === 'manifest' && id === state.checkpoint.id
      ? stay({ ...state, step: 'ready' }, { type: 'sendAppend' })
      : ignore(state),
  FinalizeFailed: (state, { id, reason, message }) =>
    state.step === 'manifest' && id === state.checkpoint.id
      ? end(state.checkpoint, reason, message)
      : ignore(state),
  AppendSent: (state, { id }) =>
    state.step === 'ready' && id === state.checkpoint.id ? stay({ ...state, step: 'sent' }) : ignore(state),
  AppendOutcome: (state, event) => {
    if (state.step !== 'sent' || event.id !== state.checkpoint.id) return ignore(state)
    if (event.outcome === 'unknown') return stay(state, { type: 'sendAppend' })
    if (event.outcome === 'fenced') return fenced(state.checkpoint)
    if (event.outcome === 'refused')
      return end(state.checkpoint, 'FINALIZE_CHECKPOINT_FAILURE', 'the store refused the log record')
    return stay({ phase: 'COMPLETED', checkpoint: state.checkpoint }, { type: 'completed' })
  },
  AttemptLost: (state, { attempt, reason }) =>
    state.step !== 'sent' && attempt === state.checkpoint.attempt
      ? end(state.checkpoint, reason, FAILURE_REASONS[reason].text)
      : ignore(state),
  Fenced: (state) => fenced(state.checkpoint),
}

/** The one table. */
export const TRANSITIONS = {
  IDLE: REST,
  REQUESTING: COLLECT,
  EXECUTING: COLLECT,
  COMMITTING: COMMIT,
  COMPLETED: REST,
  FAILED: REST,
  ABORTED: REST,
} as const satisfies Readonly<Record<CheckpointPhase, Row<never>>>

export const IDLE: CoordinatorState = { phase: 'IDLE' }

export function next(state: CoordinatorState, event: CoordinatorEvent): Transition {
  const row = TRANSITIONS[state.phase] as Readonly<
    Record<EventType, (state: CoordinatorState, event: CoordinatorEvent) => Transition>
  >
  return row[event.type](state, event)
}

/** The checkpoint in flight, if any. */
export function inFlight(state: CoordinatorState): CheckpointInFlight | undefined {
  return state.phase === 'REQUESTING' || state.phase === 'EXECUTING' || state.phase === 'COMMITTING'
    ? state.checkpoint
    : undefined
}

function expiredText(missing: ReadonlySet<string>): string {
  const names = [...missing].slice(0, 5).join(', ')
  return `no acknowledgement from ${missing.size} subtask(s): ${names}${missing.size > 5 ? ', ...' : ''}`
}
