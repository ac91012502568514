import type { Condition } from '#operator/api/schema'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'
import { decide } from '#operator/stream-job/decide'
import { streamJobStatus } from '#operator/stream-job/status'
import { type Modifier, observed } from './observed.ts'

/** The status of a running job that differs by modifiers, and what its conditions say. */
export const statusOf = (...modifiers: readonly Modifier[]): StreamJobStatus => {
  const o = observed(...modifiers)
  return streamJobStatus(o, decide(o), undefined)
}
export const summary = (status: StreamJobStatus) =>
  Object.fromEntries(
    (status.conditions ?? []).map((c) => [c.type, c.status === 'Unknown' ? '?' : c.status === 'True']),
  )
export const ready = (status: StreamJobStatus): Condition | undefined =>
  status.conditions?.find((c) => c.type === 'Ready')
export const podProblem: Modifier = (o) => ({
  ...o,
  podProblem: { reason: 'ImagePullFailed', message: 'no such image' },
})
