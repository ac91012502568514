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
  const { reason, message } = plan
  const phase = plan.status.phase
  const values: ConditionValue[] = [
    { type: 'Ready', status: phase === 'Completed' ? 'True' : 'False', reason, message },
    phase === 'Completed' || phase === 'Failed'
      ? { type: 'Reconciling', status: 'False', reason: 'UpToDate', message: 'Nothing is left to do.' }
      : { type: 'Reconciling', status: 'True', reason, message },
    phase === 'Failed'
      ? { type: 'Stalled', status: 'True', reason, message }
      : { type: 'Stalled', status: 'False', reason: 'Progressing', message: 'Nothing stands in the way.' },
  ]
  return compact<SavepointStatus>({
    ...plan.status,
    observedGeneration: generation,
    conditions: mergeConditions(before.conditions, values, generation, new Date(now).toISOString()),
  })
}

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
