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
}

/**
 * What a producer says after a bounded slice of work: `progressed`: call again soon. `idle`: call
 * again after a wake-up, or when input arrives. `done`: nothing will ever come again beyond new
 * input.
 */
export type PollResult = 'progressed' | 'idle' | 'done'
