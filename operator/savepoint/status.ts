import { compact } from '#operator/api/compact'
import { mergeConditions, standstill, type ConditionValue, type Reason } from '#operator/api/conditions'
import type { SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import type { SavepointObject } from '#operator/resources/object'
import type { SavepointPlan } from './decide.ts'

/** The status of a Savepoint as a function of the plan. Pure. */
export function savepointStatus(
  before: SavepointStatus,
  plan: SavepointPlan,
  generation: number,
  now: number,
): SavepointStatus {
  const values = conditionsOf(plan)
  return compact<SavepointStatus>({
    ...plan.status,
    observedGeneration: generation,
    conditions: mergeConditions(before.conditions, values, generation, new Date(now).toISOString()),
  })
}

function conditionsOf(plan: SavepointPlan): ConditionValue[] {
  const { reason, message, status, isStalled = false } = plan
  switch (status.phase) {
    case 'Completed':
      return settled({ type: 'Ready', status: 'True', reason, message })
    case 'Unverified':
      return settled({ type: 'Ready', status: 'Unknown', reason, message })
    case 'Failed':
      return standstill(reason, message, true)
    default:
      return standstill(reason, message, isStalled)
  }
}

const settled = (ready: ConditionValue): ConditionValue[] => [
  ready,
  { type: 'Reconciling', status: 'False', reason: 'UpToDate', message: 'Nothing is left to do.' },
  { type: 'Stalled', status: 'False', reason: 'Progressing', message: 'Nothing stands in the way.' },
]

/** Something that keeps a Savepoint from being reconciled. */
export interface Obstacle {
  readonly reason: Reason
  readonly message: string
  /** Waiting alone does not help. */
  readonly needsUser: boolean
}

/** The status as it was, with conditions that say what stands in the way. Pure. */
export function stoppedSavepoint(
  { metadata: { generation = 0 }, status = {} }: SavepointObject,
  { reason, message, needsUser }: Obstacle,
  now: number,
): SavepointStatus {
  const values = standstill(reason, message, needsUser)
  const conditions = mergeConditions(status.conditions, values, generation, new Date(now).toISOString())
  return { ...status, observedGeneration: generation, conditions }
}
