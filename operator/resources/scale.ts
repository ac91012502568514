import type { StreamJobSpec } from '#operator/api/v1alpha1/stream-job'

/** More TaskManagers are asked for than the job can use. */
export interface ScaleLimit {
  readonly asked: number
  readonly granted: number
}

/**
 * Without `parallelism` a job uses all slots, and at most `maxParallelism` of them. Who asks for
 * more (an autoscaler knows of no limit) gets as many TaskManagers as have work, and the job goes
 * on: with more it could not be planned.
 */
export function limitedScale(spec: StreamJobSpec): {
  readonly spec: StreamJobSpec
  readonly limit: ScaleLimit | undefined
} {
  const { parallelism, maxParallelism, taskManager } = spec
  const granted = Math.ceil(maxParallelism / taskManager.slots)
  const asked = taskManager.replicas
  if (parallelism !== undefined || asked <= granted) return { spec, limit: undefined }
  return { spec: withTaskManagers(spec, granted), limit: { asked, granted } }
}

export const withTaskManagers = (spec: StreamJobSpec, replicas: number): StreamJobSpec => ({
  ...spec,
  taskManager: { ...spec.taskManager, replicas },
})

/** The parallelism that a run is given; undefined: all its slots. */
export function parallelismOf({
  parallelism,
  maxParallelism,
  taskManager,
}: StreamJobSpec): number | undefined {
  const slots = taskManager.replicas * taskManager.slots
  return parallelism ?? (slots > maxParallelism ? maxParallelism : undefined)
}
