import type { CheckpointId } from '#runtime/contract/ids'
import type { CoordinatorState } from './coordinator-state.ts'

/** A checkpoint in flight and what it waits for. */
export interface CheckpointWait {
  readonly id: CheckpointId
  readonly kind: 'checkpoint' | 'savepoint'
  readonly phase: CoordinatorState['phase']
  /** Wall clock, of its trigger. */
  readonly since: number
  /** Subtasks that have not acknowledged. */
  readonly missing: readonly string[]
  readonly trouble: StoreTrouble | undefined
}

/** What the store said to the last try of something that is tried again. */
export interface StoreTrouble {
  /** Wall clock, of the first such try. */
  readonly since: number
  readonly message: string
}
