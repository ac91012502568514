import { describe, expect, test } from 'vitest'
import type { CheckpointInFlight } from '#runtime/checkpoint/checkpoint-stages'
import {
  IDLE,
  TRANSITIONS,
  next,
  type AppendResult,
  type CoordinatorEvent,
  type CoordinatorState,
} from '#runtime/checkpoint/coordinator-state'
import type { SubtaskAck, SubtaskDecline } from '#runtime/contract/rpc'
import { finalizedCheckpoint, subtaskAck, subtaskDecline } from '#test/kit/checkpoint'

const checkpoint: CheckpointInFlight = { attempt: '2.1', epoch: 2, id: 7, base: 6, kind: 'checkpoint' }
const finalized = finalizedCheckpoint(checkpoint)
const ack = (vertex: string, change: Partial<SubtaskAck> = {}): CoordinatorEvent => ({
  type: 'TaskStatusUpdate',
  ack: subtaskAck({ attempt: '2.1', epoch: 2, checkpointId: 7, vertex, ...change }),
})
const decline = (change: Partial<SubtaskDecline> = {}): CoordinatorEvent => ({
  type: 'Decline',
  decline: subtaskDecline({ attempt: '2.1', epoch: 2, checkpointId: 7, vertex: 'b', ...change }),
})
const outcome = (result: AppendResult, id = 7): CoordinatorEvent => ({
  type: 'AppendOutcome',
  id,
  outcome: result,
})

const STATES = {
  idle: IDLE,
  requesting: { phase: 'REQUESTING', checkpoint, missing: new Set(['a/0', 'b/0']), acked: new Set() },
  'requesting, all acked': {
    phase: 'REQUESTING',
    checkpoint,
    missing: new Set(),
    acked: new Set(['a/0', 'b/0']),
  },
  executing: { phase: 'EXECUTING', checkpoint, missing: new Set(['b/0']), acked: new Set(['a/0']) },
  'executing, all acked': {
    phase: 'EXECUTING',
    checkpoint,
    missing: new Set(),
    acked: new Set(['a/0', 'b/0']),
  },
  'committing manifest': { phase: 'COMMITTING', checkpoint, finalized: undefined },
  'committing sent': { phase: 'COMMITTING', checkpoint, finalized },
  completed: { phase: 'COMPLETED', checkpoint },
  failed: { phase: 'FAILED', checkpoint, reason: 'CHECKPOINT_EXPIRED' },
  aborted: { phase: 'ABORTED', checkpoint, reason: 'TASK_FAILURE' },
  fenced: { phase: 'ABORTED', checkpoint, reason: 'FENCED' },
} as const satisfies Record<string, CoordinatorState>
type StateName = keyof typeof STATES

const EVENTS = {
  request: {
    type: 'CheckpointRequest',
    checkpoint: { ...checkpoint, id: 8, base: 7 },
    subtasks: ['a/0', 'b/0'],
  },
  'triggers sent': { type: 'TriggersSent', id: 7 },
  'triggers sent of another id': { type: 'TriggersSent', id: 6 },
  'ack b': ack('b'),
  'ack a': ack('a'),
  'ack of unknown subtask': ack('z'),
  'ack of another attempt': ack('b', { attempt: '1.4' }),
  'ack of another epoch': ack('b', { epoch: 1 }),
  'late ack': ack('b', { checkpointId: 6 }),
  'all acks': { type: 'CheckpointComplete', id: 7 },
  decline: decline(),
  'late decline': decline({ checkpointId: 6 }),
  'decline of another attempt': decline({ attempt: '1.4' }),
  expire: { type: 'Expire', id: 7 },
  'late expire': { type: 'Expire', id: 6 },
  'manifest written': { type: 'ManifestWritten', id: 7, finalized },
  'late manifest written': { type: 'ManifestWritten', id: 6, finalized },
  'finalize failed': {
    type: 'FinalizeFailed',
    id: 7,
    reason: 'FINALIZE_CHECKPOINT_FAILURE',
    message: 'store down',
  },
  appended: outcome({ kind: 'appended' }),
  'append refused': outcome({ kind: 'refused', message: 'read only' }),
  'append over': outcome({ kind: 'over' }),
  'late appended': outcome({ kind: 'appended' }, 6),
  'attempt lost': { type: 'AttemptLost', attempt: '2.1', reason: 'TASK_FAILURE' },
  'other attempt lost': { type: 'AttemptLost', attempt: '2.0', reason: 'TASK_FAILURE' },
} as const satisfies Record<string, CoordinatorEvent>
type EventName = keyof typeof EVENTS

/** `PHASE effect effect`. */
function show(state: CoordinatorState, event: CoordinatorEvent): string {
  const transition = next(state, event)
  const label = (s: CoordinatorState) =>
    s.phase === 'COMMITTING'
      ? `COMMITTING.${s.finalized === undefined ? 'manifest' : 'sent'}`
      : s.phase === 'FAILED' || s.phase === 'ABORTED'
        ? `${s.phase}(${s.reason})`
        : s.phase
  const effects = transition.effects.map((e) =>
    e.type === 'acknowledged'
      ? e.outcome
      : e.type === 'refuse' || e.type === 'ended'
        ? `${e.type}:${e.reason}`
        : e.type === 'raise'
          ? `raise:${e.event.type}`
          : e.type,
  )
  return [transition.state === state ? 'same' : label(transition.state), ...effects].join(' ')
}

const REFUSED = 'same refuse:TOO_MANY_CONCURRENT_CHECKPOINTS'
const ACKS_WHEN_OVER = {
  'ack b': 'same DISCARDED',
  'ack a': 'same DISCARDED',
  'ack of unknown subtask': 'same DISCARDED',
  'ack of another attempt': 'same UNKNOWN',
  'ack of another epoch': 'same UNKNOWN',
  'late ack': 'same DISCARDED',
} as const
const COLLECTING = {
  request: REFUSED,
  'ack a': 'same DUPLICATE',
  'ack of unknown subtask': 'same UNKNOWN',
  'ack of another attempt': 'same UNKNOWN',
  'ack of another epoch': 'same UNKNOWN',
  'late ack': 'same DISCARDED',
  decline: 'FAILED(CHECKPOINT_DECLINED) ended:CHECKPOINT_DECLINED',
  expire: 'FAILED(CHECKPOINT_EXPIRED) ended:CHECKPOINT_EXPIRED',
  'attempt lost': 'ABORTED(TASK_FAILURE) ended:TASK_FAILURE',
} as const
const COMMITTING = {
  ...ACKS_WHEN_OVER,
  request: REFUSED,
  'ack a': 'same DUPLICATE',
  'ack b': 'same DUPLICATE',
  'ack of unknown subtask': 'same DUPLICATE',
} as const
const MAY_STILL_FAIL = {
  decline: 'FAILED(CHECKPOINT_DECLINED) ended:CHECKPOINT_DECLINED',
  expire: 'FAILED(CHECKPOINT_EXPIRED) ended:CHECKPOINT_EXPIRED',
  'attempt lost': 'ABORTED(TASK_FAILURE) ended:TASK_FAILURE',
} as const
const NEXT_ONE = { request: 'REQUESTING sendTriggers' } as const

/** What is not named is `same`: nothing happens. */
const EXPECTED: Record<StateName, Partial<Record<EventName, string>>> = {
  idle: {
    ...NEXT_ONE,
    ...ACKS_WHEN_OVER,
    'ack of another attempt': 'same DISCARDED',
    'ack of another epoch': 'same DISCARDED',
  },
  requesting: {
    ...COLLECTING,
    'triggers sent': 'EXECUTING',
    'ack b': 'REQUESTING SUCCESS',
    'ack a': 'REQUESTING SUCCESS',
  },
  'requesting, all acked': {
    ...COLLECTING,
    'triggers sent': 'EXECUTING raise:CheckpointComplete',
    'ack b': 'same DUPLICATE',
  },
  executing: { ...COLLECTING, 'ack b': 'EXECUTING SUCCESS raise:CheckpointComplete' },
  'executing, all acked': {
    ...COLLECTING,
    'ack b': 'same DUPLICATE',
    'all acks': 'COMMITTING.manifest writeManifest',
  },
  'committing manifest': {
    ...COMMITTING,
    ...MAY_STILL_FAIL,
    'manifest written': 'COMMITTING.sent sendAppend',
    'finalize failed': 'FAILED(FINALIZE_CHECKPOINT_FAILURE) ended:FINALIZE_CHECKPOINT_FAILURE',
  },
  'committing sent': {
    ...COMMITTING,
    appended: 'COMPLETED completed',
    'append refused': 'FAILED(FINALIZE_CHECKPOINT_FAILURE) ended:FINALIZE_CHECKPOINT_FAILURE',
    'append over': 'ABORTED(FENCED) ended:FENCED stopped',
  },
  completed: {
    ...NEXT_ONE,
    ...ACKS_WHEN_OVER,
    'ack a': 'same DUPLICATE',
    'ack b': 'same DUPLICATE',
    'ack of unknown subtask': 'same DUPLICATE',
  },
  failed: { ...NEXT_ONE, ...ACKS_WHEN_OVER },
  aborted: { ...NEXT_ONE, ...ACKS_WHEN_OVER },
  fenced: {
    ...ACKS_WHEN_OVER,
    request: 'same refuse:FENCED',
  },
}

describe('next()', () => {
  for (const state of Object.keys(STATES) as StateName[]) {
    test(`has the written answer to every event when ${state}`, () => {
      const got = Object.fromEntries(
        (Object.keys(EVENTS) as EventName[]).map((event) => [event, show(STATES[state], EVENTS[event])]),
      )
      const wanted = Object.fromEntries(
        (Object.keys(EVENTS) as EventName[]).map((event) => [event, EXPECTED[state][event] ?? 'same']),
      )
      expect(got).toEqual(wanted)
    })
  }

  test('the table has a row for every phase and an entry for every event type', () => {
    const types = new Set(Object.values(EVENTS).map((event) => event.type))
    expect(Object.keys(TRANSITIONS).toSorted()).toEqual([
      'ABORTED',
      'COMMITTING',
      'COMPLETED',
      'EXECUTING',
      'FAILED',
      'IDLE',
      'REQUESTING',
    ])
    for (const row of Object.values(TRANSITIONS)) expect(new Set(Object.keys(row))).toEqual(types)
  })

  test('what is appended and what completes is what was finalized', () => {
    const sent = next(STATES['committing manifest'], EVENTS['manifest written'])
    expect(sent.effects).toEqual([{ type: 'sendAppend', finalized }])
    expect(next(sent.state, EVENTS.appended).effects).toEqual([{ type: 'completed', finalized }])
  })

  test('tasks are told of every end but that of the term: then the next leader decides', () => {
    const notified = (state: StateName, event: EventName) =>
      next(STATES[state], EVENTS[event]).effects.flatMap((e) => (e.type === 'ended' ? [e.notify] : []))
    expect(notified('executing', 'expire')).toEqual([true])
    expect(notified('executing', 'attempt lost')).toEqual([true])
    expect(notified('committing sent', 'append refused')).toEqual([true])
    expect(notified('committing sent', 'append over')).toEqual([false])
  })

  test('a whole checkpoint walks the five published phases', () => {
    const phases: string[] = []
    let state: CoordinatorState = IDLE
    const queue: CoordinatorEvent[] = [
      { type: 'CheckpointRequest', checkpoint, subtasks: ['a/0', 'b/0'] },
      { type: 'TriggersSent', id: 7 },
      ack('a'),
      ack('b'),
      { type: 'ManifestWritten', id: 7, finalized },
      outcome({ kind: 'appended' }),
    ]
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
      const transition = next(state, event)
      state = transition.state
      if (phases.at(-1) !== state.phase) phases.push(state.phase)
      for (const effect of transition.effects) if (effect.type === 'raise') queue.unshift(effect.event)
    }
    expect(phases).toEqual(['REQUESTING', 'EXECUTING', 'COMMITTING', 'COMPLETED'])
  })
})
