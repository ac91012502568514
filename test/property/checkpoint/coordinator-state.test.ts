import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  IDLE,
  inFlight,
  next,
  type CoordinatorEvent,
  type CoordinatorState,
} from '#runtime/checkpoint/coordinator-state'

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
const outcome = fc.constantFrom(
  'appended' as const,
  'unknown' as const,
  'fenced' as const,
  'refused' as const,
)

const step: fc.Arbitrary<(id: number) => CoordinatorEvent> = fc.oneof(
  fc.constant((id: number): CoordinatorEvent => ({
    type: 'CheckpointRequest',
    checkpoint: { attempt: '1.1', epoch: 1, id: id + 1, base: 0, kind: 'checkpoint', stop: false },
    subtasks: SUBTASKS,
  })),
  {
    weight: 6,
    arbitrary: fc.tuple(ref, attempt, shift).map(([r, a, s]) => (id: number): CoordinatorEvent => ({
      type: 'TaskStatusUpdate',
      ack: { ...r, attempt: a, epoch: 1, checkpointId: id + s },
    })),
  },
  fc.tuple(ref, attempt, shift).map(([r, a, s]) => (id: number): CoordinatorEvent => ({
    type: 'Decline',
    decline: { ...r, attempt: a, epoch: 1, checkpointId: id + s, reason: 'CHECKPOINT_DECLINED', message: '' },
  })),
  {
    weight: 5,
    arbitrary: fc
      .tuple(
        fc.constantFrom(
          'TriggersSent' as const,
          'CheckpointComplete' as const,
          'Expire' as const,
          'ManifestWritten' as const,
          'AppendSent' as const,
        ),
        shift,
      )
      .map(([type, s]) => (id: number): CoordinatorEvent => ({ type, id: id + s })),
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
  fc.constant((): CoordinatorEvent => ({ type: 'Fenced' })),
)

describe('the coordinator state function', () => {
  test('over any course of events: completes only after a sent append, never aborts behind one, stays silent after a fence, ends each checkpoint once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let state: CoordinatorState = IDLE
        let newest = 0
        let sent = false
        let fenced = false
        let open = 0
        const apply = (event: CoordinatorEvent) => {
          const before = state
          const { state: after, effects } = next(before, event)
          state = after
          if (before.phase !== 'REQUESTING' && after.phase === 'REQUESTING') {
            expect(fenced).toBe(false)
            expect(inFlight(before)).toBeUndefined()
            newest = inFlight(after)?.id ?? newest
            open++
            sent = false
          }
          if (after.phase === 'COMMITTING' && after.step === 'sent') sent = true
          for (const effect of effects) {
            if (effect.type === 'raise') apply(effect.event)
            if (effect.type === 'completed') {
              expect(sent).toBe(true)
              open--
            }
            if (effect.type === 'ended') {
              if (sent)
                expect(
                  event.type === 'Fenced' || (event.type === 'AppendOutcome' && event.outcome !== 'unknown'),
                ).toBe(true)
              open--
            }
            if (effect.type === 'stopped') {
              expect(fenced).toBe(false)
              fenced = true
            }
          }
          expect(open).toBe(inFlight(state) === undefined ? 0 : 1)
        }
        for (const make of steps) apply(make(newest))
      }),
      { numRuns: 500 },
    )
  })
})
