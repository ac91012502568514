import { notAPromise } from '#runtime/base/synchronous'
import { JobFault } from '#runtime/base/job-fault'
import { preview } from '#runtime/base/preview'
import { MAX_WATERMARK, MIN_WATERMARK, type SplitChange, type SplitNumber } from '#runtime/element/receiver'
import { SplitWatermarks } from '#runtime/time/split-watermarks'
import type { WatermarkGenerator, WatermarkStrategy } from '#runtime/time/watermark-strategy'
import { PassThroughOperator } from './pass-through.ts'
import type { OperatorContext } from './stream-operator.ts'

const EARLIEST_SECONDS = 1e8
const LATEST_SECONDS = 1e10

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
  #context!: OperatorContext<T>
  #sent = MIN_WATERMARK
  #isIdle = false
  #hasLooked = false

  constructor(timestampOf: (value: T) => number, strategy: WatermarkStrategy) {
    super()
    this.#timestampOf = timestampOf
    this.#splits = new SplitWatermarks(strategy)
    this.#generator = this.#splits.current
    this.#canIdle = strategy.idleAfterMs !== undefined
  }

  override open(context: OperatorContext<T>): void {
    super.open(context)
    this.#context = context
  }

  override onRecord(value: T, _: number): void {
    let timestamp: number
    try {
      timestamp = notAPromise(this.#timestampOf(value), 'assignTimestamps returned')
      if (!Number.isFinite(timestamp)) throw notATime(timestamp)
    } catch (cause) {
      throw this.failed(cause, { record: value })
    }
    if (!this.#hasLooked) this.#look(timestamp)
    this.#isIdle = false
    this.#generator.onTimestamp(timestamp)
    this.out.onRecord(value, timestamp)
  }

  /**
   * The first timestamp of a subtask: milliseconds between 1e8 and 1e10 are days of early 1970,
   * seconds are the years 1973 to 2286. It may be meant, so it is only said.
   */
  #look(timestamp: number): void {
    this.#hasLooked = true
    if (timestamp < EARLIEST_SECONDS || timestamp >= LATEST_SECONDS) return
    const { logger, location } = this.#context
    const [asMs, asSeconds] = [timestamp, timestamp * 1000].map((ms) => new Date(ms).toISOString())
    logger.warn(
      { timestamp, asMs, asSeconds, location },
      `assignTimestamps returned ${timestamp}: as milliseconds since the epoch that is ${asMs}. ` +
        `If seconds are meant (${asSeconds}), multiply them by 1000`,
    )
  }

  onBatchEnd(): void {
    const now = this.#context.clock.monotonic()
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

const notATime = (given: unknown): JobFault =>
  new JobFault(
    `assignTimestamps returned ${typeof given === 'number' ? '' : `a ${typeof given}, `}${preview(given)}. ` +
      'Expected milliseconds since the epoch, such as date.getTime().',
  )
