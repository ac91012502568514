import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job'
import { LABEL_RUN } from '#operator/resources/labels'
import type { KubeObject } from '#operator/resources/object'
import type { JobRef } from '#operator/resources/run-context'

/**
 * A StreamJob as it is stored: the spec is parsed where it is used, because an older operator may
 * have admitted it.
 */
export type StreamJobObject = KubeObject & { readonly spec: unknown; readonly status?: StreamJobStatus }

export function jobRefOf(object: KubeObject): JobRef {
  return {
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
    uid: object.metadata.uid ?? '',
  }
}

/** The run that an object belongs to, 0 where it says none. */
export function runOf(object: KubeObject): number {
  return Number(object.metadata.labels?.[LABEL_RUN] ?? 0)
}
