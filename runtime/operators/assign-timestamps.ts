import { notAPromise } from '#runtime/base/synchronous'
import { WeirError } from '#runtime/base/errors'
import type { Clock } from '#runtime/base/clock'
import { MAX_WATERMARK, MIN_WATERMARK, type SplitChange, type SplitNumber } from '#runtime/element/receiver'
import { SplitWatermarks } from '#runtime/time/split-watermarks'
import type { WatermarkGenerator, WatermarkStrategy } from '#runtime/time/watermark-strategy'
import { PassThroughOperator } from './pass-through.ts'
import type { OperatorContext } from './stream-operator.ts'

/**
 * Gives records their event time and makes watermarks, once per batch, of each split by itself
 * where the source says which is which. Watermarks from above are replaced, except the last one.
 * Keeps no state: after a restore the watermark begins again with the first records, and operators
 * that remember theirs do not go back.
 */
export class AssignTimestampsOperator<T> extends PassThroughOperator<T, T> {
  readonly #timestampOf: (value: T) => number
  readonly #splits: SplitWatermarks
  #generator: WatermarkGenerator
  readonly #canIdle: boolean
  #clock!: Clock
  #sent = MIN_WATERMARK
  #isIdle = false

  constructor(timestampOf: (value: T) => number, strategy: WatermarkStrategy) {
    super()
    this.#timestampOf = timestampOf
    this.#splits = new SplitWatermarks(strategy)
    this.#generator = this.#splits.current
    this.#canIdle = strategy.idleAfterMs !== undefined
  }

  override open(context: OperatorContext<T>): void {
    super.open(context)
    this.#clock = context.clock
  }

  override onRecord(value: T, _: number): void {
    let timestamp: number
    try {
      timestamp = notAPromise(this.#timestampOf(value), 'assignTimestamps returned')
    } catch (cause) {
      throw this.failed(cause)
    }
    if (!Number.isFinite(timestamp))
      throw new WeirError(
        'USR_FAILED',
        `assignTimestamps got ${String(timestamp)} for ${preview(value)}. ` +
          'Expected milliseconds since the epoch, such as date.getTime().',
      )
    this.#isIdle = false
    this.#generator.onTimestamp(timestamp)
    this.out.onRecord(value, timestamp)
  }

  onBatchEnd(): void {
    const now = this.#clock.monotonic()
    const watermark = this.#splits.watermark(now)
    if (watermark > this.#sent) {
      this.#sent = watermark
      this.out.onWatermark(watermark)
    }
    if (this.#canIdle && !this.#isIdle && this.#splits.isIdle(now)) this.#fallIdle()
  }

  /** From above: a source has nothing to read. Where the job says after what time, that holds. */
  override onIdle(): void {
    if (!this.#canIdle) this.#fallIdle()
  }

  override onSplit(split: SplitNumber, change: SplitChange): void {
    this.#splits.onSplit(split, change)
    this.#generator = this.#splits.current
    super.onSplit(split, change)
  }

  #fallIdle(): void {
    if (this.#isIdle) return
    this.#isIdle = true
    this.out.onIdle?.()
  }

  override onWatermark(watermark: number): void {
    if (watermark !== MAX_WATERMARK) return
    this.#sent = watermark
    this.out.onWatermark(watermark)
  }
}

function preview(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 200)
  } catch {
    return 'a record'
  }
}
