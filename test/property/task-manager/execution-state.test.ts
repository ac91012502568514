import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toErrorData, WeirError } from '#runtime/base/errors'
import {
  next,
  type ExecutionEvent,
  type ExecutionState,
  type Tell,
} from '#runtime/task-manager/execution-state'

const PARTS = ['links', 'slot 0', 'slot 1']
const error = toErrorData(new WeirError('USR_FAILED', 'map threw'))
const event: fc.Arbitrary<ExecutionEvent> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...PARTS).map((part) => ({ type: 'Ready', part }) as const) },
  { weight: 2, arbitrary: fc.constant({ type: 'Start' } as const) },
  { weight: 2, arbitrary: fc.constant({ type: 'StopBarrier' } as const) },
  { weight: 1, arbitrary: fc.constant({ type: 'Fail', subtask: undefined, error } as const) },
  { weight: 1, arbitrary: fc.constant({ type: 'Cancel' } as const) },
)

/** What the JobManager is told when all of this happens. */
function tell(events: readonly ExecutionEvent[]): { told: Tell[]; state: ExecutionState } {
  const told: Tell[] = []
  let state: ExecutionState = { kind: 'Deploying', missing: new Set(PARTS) }
  for (const e of events) {
    const step = next(state, e)
    state = step.state
    if (step.tell !== undefined) told.push(step.tell)
  }
  return { told, state }
}

const isFailure = (t: Tell): boolean => t !== 'deployed'

test('in any course of events X1 and X2 hold: each told once, nothing once cancelled', () => {
  const kinds = new Set<string>()
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20, size: 'max' }), (events) => {
      const { told, state } = tell(events)
      kinds.add(state.kind)
      expect(told.filter((t) => t === 'deployed').length).toBeLessThanOrEqual(1)
      expect(told.filter(isFailure).length).toBeLessThanOrEqual(1)
      expect(told.includes('deployFailed') && told.includes('deployed')).toBe(false)
      const cancelled = events.findIndex((e) => e.type === 'Cancel')
      if (cancelled >= 0) expect(told).toEqual(tell(events.slice(0, cancelled)).told)
    }),
    { numRuns: 3000 },
  )
  expect(kinds.size).toBe(6)
})

test('deployed is said exactly when every part is there and nothing has failed', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20, size: 'max' }), (events) => {
      const end = events.findIndex((e) => e.type === 'Fail' || e.type === 'Cancel')
      const before = end < 0 ? events : events.slice(0, end)
      const ready = new Set(before.flatMap((e) => (e.type === 'Ready' ? [e.part] : [])))
      expect(tell(events).told.includes('deployed')).toBe(PARTS.every((part) => ready.has(part)))
    }),
  )
})
