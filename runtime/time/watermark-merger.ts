import { MAX_WATERMARK, MIN_WATERMARK } from '#runtime/element/receiver'

/**
 * One watermark out of many channels: the least of those that count. A channel does not count while
 * it is idle, nor after its end.
 * I1 What is returned grows strictly: a watermark that would go back (an idle channel woke up
 *    behind the others) is held back until it has caught up.
 * I2 When every channel has ended the watermark is MAX_WATERMARK. When all that have not ended are
 *    idle it is the greatest of theirs, so that it does not depend on the order in which they fell
 *    idle.
 */
export class WatermarkMerger {
  readonly #watermarks: Float64Array
  readonly #idle: Uint8Array
  readonly #ended: Uint8Array
  #current = MIN_WATERMARK

  constructor(channelCount: number) {
    this.#watermarks = new Float64Array(channelCount).fill(MIN_WATERMARK)
    this.#idle = new Uint8Array(channelCount)
    this.#ended = new Uint8Array(channelCount)
  }

  /** The merged watermark. */
  get current(): number {
    return this.#current
  }

  /**
   * The new merged watermark if it advanced. A channel's own watermark never goes back either. Ends
   * the channel's idleness.
   */
  onWatermark(channel: number, watermark: number): number | undefined {
    this.#idle[channel] = 0
    // Nothing comes after the last watermark: the channel has ended as far as event time goes, and
    // must not carry idle ones with it.
    if (watermark === MAX_WATERMARK) return this.onEnd(channel)
    if (watermark > this.#watermarks[channel]!) this.#watermarks[channel] = watermark
    return this.#merge()
  }

  /** Records of the channel came: it counts again. */
  onActive(channel: number): void {
    this.#idle[channel] = 0
  }

  onIdle(channel: number): number | undefined {
    this.#idle[channel] = 1
    return this.#merge()
  }

  onEnd(channel: number): number | undefined {
    this.#ended[channel] = 1
    return this.#merge()
  }

  /** Every channel that has not ended is idle, so this input as a whole is. */
  get isIdle(): boolean {
    let open = 0
    for (let i = 0; i < this.#ended.length; i++) {
      if (this.#ended[i] === 1) continue
      if (this.#idle[i] === 0) return false
      open++
    }
    return open > 0
  }

  #merge(): number | undefined {
    let least = MAX_WATERMARK
    let greatestIdle = MIN_WATERMARK
    let open = 0
    let active = 0
    for (let i = 0; i < this.#watermarks.length; i++) {
      if (this.#ended[i] === 1) continue
      open++
      const watermark = this.#watermarks[i]!
      if (this.#idle[i] === 1) {
        greatestIdle = Math.max(greatestIdle, watermark)
      } else {
        active++
        least = Math.min(least, watermark)
      }
    }
    const merged = open > 0 && active === 0 ? greatestIdle : least
    if (merged <= this.#current) return undefined
    this.#current = merged
    return merged
  }
}
