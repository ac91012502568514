import { WeirError } from '#runtime/base/errors'
import { refuseUnknownOptions } from '#runtime/base/known-options'
import { parseDuration, type Duration } from '#runtime/base/units'
import { MIN_WATERMARK } from '#runtime/element/receiver'

/**
 * How event time follows from the timestamps of records. Plain data: the same object serves all
 * subtasks.
 */
export interface WatermarkStrategy {
  /** How far a record may lag behind the newest one without being late, in milliseconds. */
  readonly boundMs: number
  /**
   * Processing time without records after which an input no longer holds back event time;
   * undefined: it always does.
   */
  readonly idleAfterMs: number | undefined
}

export interface WatermarkOptions {
  /**
   * Let the rest of the job go on when this input has had no record for this long (processing
   * time), such as '1m'. Default: wait for it for ever, or where a watching source has had nothing
   * to read for 10 s, not any longer.
   */
  readonly idleAfter?: Duration
}

/**
 * Records come at most `bound` later than the newest one before them. @throws {WeirError}
 * CFG_INVALID when a duration is not one.
 */
export function boundedOutOfOrder(bound: Duration, options: WatermarkOptions = {}): WatermarkStrategy {
  refuseUnknownOptions('boundedOutOfOrder or monotonous', options, ['idleAfter'])
  const idleAfterMs = options.idleAfter === undefined ? undefined : parseDuration(options.idleAfter)
  if (idleAfterMs === 0)
    throw new WeirError(
      'CFG_INVALID',
      'idleAfter is 0: an input would always be idle. Expected a duration such as "1m".',
    )
  return { boundMs: parseDuration(bound), idleAfterMs }
}

/** Timestamps never go back within one input. */
export function monotonous(options: WatermarkOptions = {}): WatermarkStrategy {
  return boundedOutOfOrder('0ms', options)
}

/**
 * The watermark of one input: newest timestamp - bound - 1, because a record with the newest
 * timestamp may come again. Asked once per batch.
 * I1 `watermark` never goes back. I2 Timestamps that are not finite count for nothing.
 */
export class WatermarkGenerator {
  readonly #boundMs: number
  readonly #idleAfterMs: number | undefined
  #newest = MIN_WATERMARK
  #hasNews = true
  #lastNewsAt: number | undefined

  constructor(strategy: WatermarkStrategy) {
    this.#boundMs = strategy.boundMs
    this.#idleAfterMs = strategy.idleAfterMs
  }

  /** Per record; does nothing but compare. */
  onTimestamp(timestamp: number): void {
    this.#hasNews = true
    if (timestamp > this.#newest && timestamp < Infinity) this.#newest = timestamp
  }

  /** MIN_WATERMARK until a record came. */
  get watermark(): number {
    return this.#newest - this.#boundMs - 1
  }

  /**
   * Whether no record has come for `idleAfter`, by a monotonic clock. Called per batch, and a few
   * times a second without any.
   */
  isIdle(monotonicMs: number): boolean {
    if (this.#idleAfterMs === undefined) return false
    if (this.#hasNews || this.#lastNewsAt === undefined) {
      this.#hasNews = false
      this.#lastNewsAt = monotonicMs
      return false
    }
    return monotonicMs - this.#lastNewsAt >= this.#idleAfterMs
  }
}
