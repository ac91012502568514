/**
 * The fields of the two kinds that the CLI reads; written by the operator, all optional until it
 * has.
 */
export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason?: string
  readonly message?: string
}

interface Metadata {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly generation?: number
  readonly creationTimestamp?: string
}

export interface StreamJobObject {
  readonly metadata: Metadata
  readonly spec: {
    readonly state?: string
    readonly taskManager?: { readonly replicas?: number; readonly slots?: number }
    readonly restore?: {
      readonly savepointRef?: { readonly name: string }
      readonly path?: string
      readonly nonce?: string
    }
  }
  readonly status?: {
    readonly observedGeneration?: number
    readonly conditions?: readonly Condition[]
    readonly phase?: string
    readonly runId?: string
    readonly attempt?: number | string
    readonly replicas?: number
    readonly parallelism?: number
    readonly leader?: string
    readonly restarts?: number
    readonly storagePath?: string
    readonly restoredFrom?: string
    readonly lastCheckpoint?: {
      readonly id?: number
      readonly completedAt?: string
      readonly path?: string
      readonly sizeBytes?: number
      readonly duration?: string
    }
    readonly lastSavepoint?: { readonly name?: string; readonly path?: string }
    readonly recoveries?: readonly {
      readonly at?: string
      readonly cause?: string
      readonly checkpointId?: number
      readonly detectMs?: number
      readonly electMs?: number
      readonly scheduleMs?: number
      readonly restoreMs?: number
      readonly firstRecordMs?: number
    }[]
  }
}

export interface SavepointObject {
  readonly metadata: Metadata
  readonly spec: { readonly streamJobRef?: { readonly name: string }; readonly existingPath?: string }
  readonly status?: {
    readonly observedGeneration?: number
    readonly conditions?: readonly Condition[]
    readonly phase?: string
    readonly path?: string
    readonly checkpointId?: number
    readonly sizeBytes?: number
    readonly startedAt?: string
    readonly completedAt?: string
    readonly trigger?: string
    readonly failures?: number
  }
}

export const conditionOf = (object: StreamJobObject | SavepointObject, type: string): Condition | undefined =>
  object.status?.conditions?.find((c) => c.type === type)

/** Whether the operator has seen the newest spec and says so. */
export const isSettled = (object: StreamJobObject | SavepointObject, type: string): boolean =>
  conditionOf(object, type)?.status === 'True' &&
  (object.status?.observedGeneration ?? 0) >= (object.metadata.generation ?? 0)
