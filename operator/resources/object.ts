import type { SavepointStatus } from '#operator/api/v1alpha1/savepoint'
import type { StreamJobStatus } from '#operator/api/v1alpha1/stream-job-status'

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
}

/** A Kubernetes object as the operator writes and reads it: plain JSON. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

/**
 * A StreamJob as it is stored: the spec is parsed where it is used, because an older operator may
 * have admitted it.
 */
export type StreamJobObject = KubeObject & { readonly spec: unknown; readonly status?: StreamJobStatus }

/** A Savepoint as it is stored; its spec is parsed where it is used. */
export type SavepointObject = KubeObject & { readonly spec: unknown; readonly status?: SavepointStatus }
