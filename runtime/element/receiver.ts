/**
 * Timestamps are milliseconds since the epoch, event time. A record without one carries
 * NO_TIMESTAMP; it is below every watermark-bearing time.
 */
export const NO_TIMESTAMP = -Infinity
/** Watermark before the first, and after the last record. */
export const MIN_WATERMARK = -Infinity
export const MAX_WATERMARK = Infinity

/**
 * Whatever takes records: the next StreamOperator of a chain or the output at its end. Called on
 * the task's thread, one call a record, never re-entered from another thread. The callee must not
 * keep the call waiting; it may keep `value`.
 */
export interface Receiver<T = any> {
  onRecord(value: T, timestamp: number): void
  /**
   * No later record of this input has a timestamp <= `watermark` unless it is late. Never goes
   * back.
   */
  onWatermark(watermark: number): void
  /**
   * This input has no records for now and does not hold back event time, until its next record or
   * watermark. Pass-through operators forward it at once.
   */
  onIdle?(): void
  /**
   * From a source that says what its records come from; within a chain only. Event time is kept for
   * each split, so that splits which are read one after the other do not make each other late.
   */
  onSplit?(split: SplitNumber, change: SplitChange): void
}

/** Of a split within one subtask since its start; never used again. */
export type SplitNumber = number

/**
 * `added`: it is there and will be read, so that its event time counts from now on. `current`: the
 * records that follow are of this split. `ended`: it has no more.
 */
export type SplitChange = 'added' | 'current' | 'ended'

/**
 * What a producer says after a bounded slice of work: `progressed`: call again soon. `idle`: call
 * again after a wake-up, or when input arrives. `done`: nothing will ever come again beyond new
 * input.
 */
export type PollResult = 'progressed' | 'idle' | 'done'
