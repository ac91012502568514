import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CheckpointInFlight } from '#runtime/checkpoint/checkpoint-stages'
import {
  IDLE,
  inFlight,
  next,
  type AppendResult,
  type CoordinatorEffect,
  type CoordinatorEvent,
  type CoordinatorState,
} from '#runtime/checkpoint/coordinator-state'
import { finalizedCheckpoint, subtaskAck, subtaskDecline } from '#test/kit/checkpoint'

const SUBTASKS = ['a/0', 'a/1', 'b/0']
const ref = fc.constantFrom(
  { vertex: 'a', subtask: 0 },
  { vertex: 'a', subtask: 1 },
  { vertex: 'b', subtask: 0 },
  { vertex: 'z', subtask: 0 },
)
/** Relative to the newest id, so that late and early messages of neighbours occur. */
const shift = fc.constantFrom(0, 0, 0, 0, -1, 1)
const attempt = fc.constantFrom('1.1', '1.1', '1.1', '1.2')
const outcome = fc.constantFrom<AppendResult>(
  { kind: 'appended' },
  { kind: 'over' },
  { kind: 'refused', message: 'read only' },
)
const inFlightAs = (id: number): CheckpointInFlight => ({
  attempt: '1.1',
  epoch: 1,
  id,
  base: 0,
  kind: 'checkpoint',
})

/** What brings the checkpoint in flight one step further, so that the later phases are reached. */
function onward(state: CoordinatorState, id: number, result: AppendResult): CoordinatorEvent {
  switch (state.phase) {
    case 'REQUESTING':
      return { type: 'TriggersSent', id }
    case 'EXECUTING': {
      const [vertex = 'a', subtask = '0'] = [...state.missing][0]?.split('/') ?? []
      return {
        type: 'TaskStatusUpdate',
        ack: subtaskAck({ vertex, subtask: Number(subtask), checkpointId: id }),
      }
    }
    case 'COMMITTING':
      return state.finalized === undefined
        ? { type: 'ManifestWritten', id, finalized: finalizedCheckpoint(inFlightAs(id)) }
        : { type: 'AppendOutcome', id, outcome: result }
    default:
      return { type: 'CheckpointRequest', checkpoint: inFlightAs(id + 1), subtasks: SUBTASKS }
  }
}

const step: fc.Arbitrary<(id: number, state: CoordinatorState) => CoordinatorEvent> = fc.oneof(
  {
    weight: 12,
    arbitrary: outcome.map((o) => (id: number, state: CoordinatorState) => onward(state, id, o)),
  },
  fc.constant((id: number): CoordinatorEvent => ({
    type: 'CheckpointRequest',
    checkpoint: inFlightAs(id + 1),
    subtasks: SUBTASKS,
  })),
  {
    weight: 6,
    arbitrary: fc.tuple(ref, attempt, shift).map(([r, a, s]) => (id: number): CoordinatorEvent => ({
      type: 'TaskStatusUpdate',
      ack: subtaskAck({ ...r, attempt: a, checkpointId: id + s }),
    })),
  },
  fc.tuple(ref, attempt, shift).map(([r, a, s]) => (id: number): CoordinatorEvent => ({
    type: 'Decline',
    decline: subtaskDecline({ ...r, attempt: a, checkpointId: id + s }),
  })),
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.constantFrom('TriggersSent' as const, 'CheckpointComplete' as const, 'Expire' as const),
        shift,
      )
      .map(([type, s]) => (id: number): CoordinatorEvent => ({ type, id: id + s })),
  },
  {
    weight: 2,
    arbitrary: shift.map((s) => (id: number): CoordinatorEvent => ({
      type: 'ManifestWritten',
      id: id + s,
      finalized: finalizedCheckpoint(inFlightAs(id + s)),
    })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(outcome, shift).map(([o, s]) => (id: number): CoordinatorEvent => ({
      type: 'AppendOutcome',
      id: id + s,
      outcome: o,
    })),
  },
  attempt.map((a) => (): CoordinatorEvent => ({ type: 'AttemptLost', attempt: a, reason: 'TASK_FAILURE' })),
)

describe('the coordinator state function', () => {
  test('in any course of events I2 to I4 hold, and each checkpoint that was triggered ends once', () => {
    const reached = { completed: 0, ended: 0, 'ended behind the append': 0, stopped: 0 }
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        let state: CoordinatorState = IDLE
        let newest = 0
        let sent: unknown
        let over = false
        let open = 0
        const perform = (effect: CoordinatorEffect, event: CoordinatorEvent) => {
          switch (effect.type) {
            case 'raise':
              return apply(effect.event)
            case 'sendAppend':
              expect(sent).toBeUndefined()
              sent = effect.finalized
              return
            case 'completed':
              expect(effect.finalized).toBe(sent)
              reached.completed++
              open--
              return
            case 'ended':
              if (sent !== undefined) {
                expect(event).toMatchObject({ type: 'AppendOutcome' })
                expect(event).not.toMatchObject({ outcome: { kind: 'appended' } })
                reached['ended behind the append']++
              }
              reached.ended++
              open--
              return
            case 'stopped':
              expect(over).toBe(false)
              over = true
              reached.stopped++
              return
            default:
          }
        }
        const apply = (event: CoordinatorEvent) => {
          const before = state
          const { state: after, effects } = next(before, event)
          state = after
          if (before.phase !== 'REQUESTING' && after.phase === 'REQUESTING') {
            expect(over).toBe(false)
            expect(inFlight(before)).toBeUndefined()
            newest = inFlight(after)?.id ?? newest
            open++
            sent = undefined
          }
          for (const effect of effects) perform(effect, event)
          expect(open).toBe(inFlight(state) === undefined ? 0 : 1)
        }
        for (const make of steps) apply(make(newest, state))
      }),
      { numRuns: 1000 },
    )
    for (const [what, count] of Object.entries(reached)) expect(count, what).toBeGreaterThan(20)
  })
})
