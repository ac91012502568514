import type * as z from 'zod'
import type { Condition } from '#operator/api/schema'
import type { ConditionType } from '#operator/api/conditions'
import type { SavepointStatus, savepointSpec } from '#operator/api/v1alpha1/savepoint'
import type { streamJobSpec } from '#operator/api/v1alpha1/stream-job'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import type { ObjectMeta } from '#operator/resources/object'

/** A StreamJob as the API server gives it; the status is absent until the operator has seen it. */
export interface StreamJobObject {
  readonly metadata: ObjectMeta
  readonly spec: z.input<typeof streamJobSpec>
  readonly status?: StreamJobStatus
}

export interface SavepointObject {
  readonly metadata: ObjectMeta
  readonly spec: z.input<typeof savepointSpec>
  readonly status?: SavepointStatus
}

type AnyObject = StreamJobObject | SavepointObject

export const conditionOf = (object: AnyObject, type: ConditionType): Condition | undefined =>
  object.status?.conditions?.find((c) => c.type === type)

/** It was taken of the job on request, or when a run of it was stopped with a savepoint. */
export const isSavepointOf = ({ spec, status }: SavepointObject, job: string): boolean =>
  spec.streamJobRef?.name === job || status?.job === job

/** It is Ready, or an import, which a restore verifies. */
export const isRestorable = (savepoint: SavepointObject): boolean =>
  conditionOf(savepoint, 'Ready')?.status === 'True' || savepoint.status?.phase === 'Unverified'

/** Whether the operator has seen the newest spec and says so. */
export const isSettled = (object: AnyObject, type: ConditionType): boolean =>
  conditionOf(object, type)?.status === 'True' &&
  (object.status?.observedGeneration ?? 0) >= (object.metadata.generation ?? 0)

/** Phase and what Ready says, for a line of progress. */
export function progressText(object: AnyObject): string {
  const ready = conditionOf(object, 'Ready')
  const phase = object.status?.phase ?? 'Pending'
  return ready === undefined || ready.status === 'True' || ready.message === ''
    ? phase
    : `${phase}: ${ready.message}`
}

/** Why the operator cannot get further, in words. */
export function stalledText(object: AnyObject): string {
  const stalled = conditionOf(object, 'Stalled')
  return [stalled?.reason, stalled?.message].filter((p) => p !== undefined && p !== '').join(', ')
}
