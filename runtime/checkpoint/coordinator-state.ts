/**
 * The coordinator's life as one pure total function: `next(state, event)` has a defined answer for
 * every event in every phase; timers and I/O are outside.
 *
 *   IDLE -CheckpointRequest-> REQUESTING -TriggersSent-> EXECUTING -CheckpointComplete->
 *   COMMITTING -AppendOutcome(appended)-> COMPLETED
 *
 * I1 At most one checkpoint is in flight (REQUESTING, EXECUTING or COMMITTING).
 * I2 Once the append is sent, the record may be in the log already, so nothing may tell the tasks
 *    otherwise: the only exits are COMPLETED, the end of the term, and a refusal that proves that
 *    the record was never written.
 * I3 An acknowledgement counts once, and only for the attempt, epoch and id in flight.
 * I4 Once the term is over nothing is ever requested again.
 */
import { subtaskKey, type SubtaskAck, type SubtaskDecline } from '#runtime/contract/rpc'
import { FAILURE_REASONS, type FailureReason } from '#runtime/contract/failure-reasons'
import type { AttemptId, CheckpointId } from '#runtime/contract/ids'
import type { CheckpointPhase } from '#runtime/contract/rest'
import type { CheckpointInFlight, FinalizedCheckpoint } from './checkpoint-stages.ts'

export type CoordinatorState =
  | { readonly phase: 'IDLE' }
  | {
      readonly phase: 'REQUESTING' | 'EXECUTING'
      readonly checkpoint: CheckpointInFlight
      readonly missing: ReadonlySet<string>
      readonly acked: ReadonlySet<string>
    }
  /** `finalized`: absent until the manifest is stored; from then on the append is under way. */
  | {
      readonly phase: 'COMMITTING'
      readonly checkpoint: CheckpointInFlight
      readonly finalized: FinalizedCheckpoint | undefined
    }
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
  | { readonly type: 'TriggersSent'; readonly id: CheckpointId }
  | { readonly type: 'TaskStatusUpdate'; readonly ack: SubtaskAck }
  /** All acknowledgements are in; raised by the state function itself. */
  | { readonly type: 'CheckpointComplete'; readonly id: CheckpointId }
  | { readonly type: 'Decline'; readonly decline: SubtaskDecline }
  | { readonly type: 'Expire'; readonly id: CheckpointId }
  | { readonly type: 'ManifestWritten'; readonly id: CheckpointId; readonly finalized: FinalizedCheckpoint }
  | {
      readonly type: 'FinalizeFailed'
      readonly id: CheckpointId
      readonly reason: 'FINALIZE_CHECKPOINT_FAILURE' | 'CORRUPT_UPLOAD'
      readonly message: string
    }
  | { readonly type: 'AppendOutcome'; readonly id: CheckpointId; readonly outcome: AppendResult }
  | { readonly type: 'AttemptLost'; readonly attempt: AttemptId; readonly reason: FailureReason }

/** over: the term is. refused: the record certainly is not in the log and never will be. */
export type AppendResult =
  | { readonly kind: 'appended' }
  | { readonly kind: 'over' }
  | { readonly kind: 'refused'; readonly message: string }

/**
 * SUCCESS: counted. DUPLICATE: the subtask had acknowledged already. UNKNOWN: not of this attempt,
 * epoch or plan. DISCARDED: that checkpoint is not in flight (any more).
 */
export type AckOutcome = 'SUCCESS' | 'DUPLICATE' | 'UNKNOWN' | 'DISCARDED'

export type CoordinatorEffect =
  | { readonly type: 'refuse'; readonly reason: FailureReason }
  | { readonly type: 'sendTriggers' }
  | { readonly type: 'acknowledged'; readonly outcome: AckOutcome; readonly ack: SubtaskAck }
  | { readonly type: 'raise'; readonly event: CoordinatorEvent }
  | { readonly type: 'writeManifest' }
  | { readonly type: 'sendAppend'; readonly finalized: FinalizedCheckpoint }
  | { readonly type: 'completed'; readonly finalized: FinalizedCheckpoint }
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
type Concern = 'UNKNOWN' | 'DISCARDED' | 'CURRENT'

const stay = (state: CoordinatorState, ...effects: CoordinatorEffect[]): Transition => ({ state, effects })
const ignore = (state: CoordinatorState): Transition => stay(state)
const answer = (outcome: AckOutcome, ack: SubtaskAck): CoordinatorEffect => ({
  type: 'acknowledged',
  outcome,
  ack,
})

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

function termOver(checkpoint: CheckpointInFlight): Transition {
  const { state, effects } = end(checkpoint, 'FENCED', FAILURE_REASONS.FENCED.text, false)
  return { state, effects: [...effects, { type: 'stopped' }] }
}

function concerns(checkpoint: CheckpointInFlight, message: SubtaskAck | SubtaskDecline): boolean {
  return classify(checkpoint, message) === 'CURRENT'
}

function classify(checkpoint: CheckpointInFlight, message: SubtaskAck | SubtaskDecline): Concern {
  if (message.attempt !== checkpoint.attempt || message.epoch !== checkpoint.epoch) return 'UNKNOWN'
  return message.checkpointId === checkpoint.id ? 'CURRENT' : 'DISCARDED'
}

function onAck(state: Collecting, { ack }: EventOf<'TaskStatusUpdate'>): Transition {
  const concern = classify(state.checkpoint, ack)
  if (concern !== 'CURRENT') return stay(state, answer(concern, ack))
  const subtask = subtaskKey(ack)
  if (state.acked.has(subtask)) return stay(state, answer('DUPLICATE', ack))
  if (!state.missing.has(subtask)) return stay(state, answer('UNKNOWN', ack))
  const missing = new Set(state.missing)
  missing.delete(subtask)
  const acked = new Set(state.acked).add(subtask)
  return stay(
    { ...state, missing, acked },
    answer('SUCCESS', ack),
    ...(state.phase === 'EXECUTING' ? raiseComplete(state.checkpoint, missing) : []),
  )
}

function onLateAck(state: Resting, { ack }: EventOf<'TaskStatusUpdate'>): Transition {
  const last = state.phase === 'IDLE' ? undefined : state.checkpoint
  const concern = last === undefined ? 'DISCARDED' : classify(last, ack)
  if (concern === 'UNKNOWN') return stay(state, answer('UNKNOWN', ack))
  const wasCounted = state.phase === 'COMPLETED' && concern === 'CURRENT'
  return stay(state, answer(wasCounted ? 'DUPLICATE' : 'DISCARDED', ack))
}

function raiseComplete(checkpoint: CheckpointInFlight, missing: ReadonlySet<string>): CoordinatorEffect[] {
  if (missing.size > 0) return []
  return [{ type: 'raise', event: { type: 'CheckpointComplete', id: checkpoint.id } }]
}

function onDecline(state: Collecting | Committing, { decline }: EventOf<'Decline'>): Transition {
  if (!concerns(state.checkpoint, decline)) return ignore(state)
  const text = `subtask ${subtaskKey(decline)} declined: ${decline.error.message}`
  return end(state.checkpoint, decline.reason, text)
}

function onAttemptLost(state: Collecting | Committing, event: EventOf<'AttemptLost'>): Transition {
  if (event.attempt !== state.checkpoint.attempt) return ignore(state)
  return end(state.checkpoint, event.reason, FAILURE_REASONS[event.reason].text)
}

export const isFenced = (state: CoordinatorState): boolean =>
  state.phase === 'ABORTED' && state.reason === 'FENCED'

const REST: Row<Resting> = {
  CheckpointRequest: (state, { checkpoint, subtasks }) =>
    isFenced(state)
      ? stay(state, { type: 'refuse', reason: 'FENCED' })
      : {
          state: { phase: 'REQUESTING', checkpoint, missing: new Set(subtasks), acked: new Set() },
          effects: [{ type: 'sendTriggers' }],
        },
  TriggersSent: ignore,
  TaskStatusUpdate: onLateAck,
  CheckpointComplete: ignore,
  Decline: ignore,
  Expire: ignore,
  ManifestWritten: ignore,
  FinalizeFailed: ignore,
  AppendOutcome: ignore,
  AttemptLost: ignore,
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
          { phase: 'COMMITTING', checkpoint: state.checkpoint, finalized: undefined },
          { type: 'writeManifest' },
        )
      : ignore(state),
  Decline: onDecline,
  Expire: (state, { id }) =>
    id === state.checkpoint.id
      ? end(state.checkpoint, 'CHECKPOINT_EXPIRED', expiredText(state.missing))
      : ignore(state),
  ManifestWritten: ignore,
  FinalizeFailed: ignore,
  AppendOutcome: ignore,
  AttemptLost: onAttemptLost,
}

const COMMIT: Row<Committing> = {
  CheckpointRequest: (state) => stay(state, { type: 'refuse', reason: 'TOO_MANY_CONCURRENT_CHECKPOINTS' }),
  TriggersSent: ignore,
  TaskStatusUpdate: (state, { ack }) => {
    const concern = classify(state.checkpoint, ack)
    return stay(state, answer(concern === 'CURRENT' ? 'DUPLICATE' : concern, ack))
  },
  CheckpointComplete: ignore,
  Decline: (state, event) => (state.finalized === undefined ? onDecline(state, event) : ignore(state)),
  Expire: (state, { id }) =>
    state.finalized === undefined && id === state.checkpoint.id
      ? end(
          state.checkpoint,
          'CHECKPOINT_EXPIRED',
          'all tasks acknowledged, but the manifest was not stored within the timeout',
        )
      : ignore(state),
  ManifestWritten: (state, { id, finalized }) =>
    state.finalized === undefined && id === state.checkpoint.id
      ? stay({ ...state, finalized }, { type: 'sendAppend', finalized })
      : ignore(state),
  FinalizeFailed: (state, { id, reason, message }) =>
    state.finalized === undefined && id === state.checkpoint.id
      ? end(state.checkpoint, reason, message)
      : ignore(state),
  AppendOutcome: (state, { id, outcome }) => {
    const { checkpoint, finalized } = state
    if (finalized === undefined || id !== checkpoint.id) return ignore(state)
    if (outcome.kind === 'appended')
      return stay({ phase: 'COMPLETED', checkpoint }, { type: 'completed', finalized })
    if (outcome.kind === 'over') return termOver(checkpoint)
    return end(checkpoint, 'FINALIZE_CHECKPOINT_FAILURE', `the log record was refused: ${outcome.message}`)
  },
  AttemptLost: (state, event) =>
    state.finalized === undefined ? onAttemptLost(state, event) : ignore(state),
}

export const TRANSITIONS = {
  IDLE: REST,
  REQUESTING: COLLECT,
  EXECUTING: COLLECT,
  COMMITTING: COMMIT,
  COMPLETED: REST,
  FAILED: REST,
  ABORTED: REST,
} as const satisfies { readonly [P in CheckpointPhase]: Row<CoordinatorState & { readonly phase: P }> }

export const IDLE: CoordinatorState = { phase: 'IDLE' }

export function next(state: CoordinatorState, event: CoordinatorEvent): Transition {
  const row = TRANSITIONS[state.phase] as Readonly<
    Record<EventType, (state: CoordinatorState, event: CoordinatorEvent) => Transition>
  >
  return row[event.type](state, event)
}

/** The checkpoint in flight, if any. */
export function inFlight(state: CoordinatorState): CheckpointInFlight | undefined {
  switch (state.phase) {
    case 'REQUESTING':
    case 'EXECUTING':
    case 'COMMITTING':
      return state.checkpoint
    default:
      return undefined
  }
}

function expiredText(missing: ReadonlySet<string>): string {
  const names = [...missing].slice(0, 5).join(', ')
  const more = missing.size > 5 ? ', ...' : ''
  return `no acknowledgement from ${missing.size} subtask(s): ${names}${more}`
}
