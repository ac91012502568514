import type { StreamJobStatus } from '../api/v1alpha1/stream-job.ts'
import { LABEL_RUN } from '../resources/labels.ts'
import type { KubeObject } from '../resources/object.ts'
import type { JobRef } from '../resources/run-context.ts'

/** A StreamJob as it is stored: the spec is parsed where it is used, because an older operator may have admitted it. */
export type StreamJobObject = KubeObject & { readonly spec: unknown; readonly status?: StreamJobStatus }

export function jobRefOf(object: KubeObject): JobRef {
  return { namespace: object.metadata.namespace ?? '', name: object.metadata.name, uid: object.metadata.uid ?? '' }
}

/** The run that an object belongs to, 0 where it says none. */
export function runOf(object: KubeObject): number {
  return Number(object.metadata.labels?.[LABEL_RUN] ?? 0)
}
