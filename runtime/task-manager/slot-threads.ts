import type { ThreadPosition } from './thread-position.ts'
import type { FromSlot, SlotAssignment, SlotPort, ToSlot } from '#runtime/task/slot-messages'

/**
 * A thread that runs one slot of one deployment. Started ahead of it, so that a deployment finds
 * the runtime loaded; ended with it, so that nothing of an attempt can outlive it.
 */
export interface SlotThread {
  /** Once. From then on `listener` gets what the slot says; a thread that dies says `failed`. */
  deploy(assignment: SlotAssignment, listener: (message: FromSlot) => void): void
  send(message: ToSlot, transfer?: ArrayBuffer[]): void
  /** Where it is at the moment, also in a call that never returns; undefined: not known. */
  position(): Promise<ThreadPosition | undefined>
  /** Lets operators close for a moment, then ends the thread whatever it does. Idempotent. */
  terminate(): Promise<void>
}

export interface SlotThreads {
  start(): SlotThread
  /** For each slot its ports to the others, by slot. */
  connect(slots: readonly number[]): ReadonlyMap<number, ReadonlyMap<number, SlotPort>>
}
