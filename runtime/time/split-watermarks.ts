import { MIN_WATERMARK, type SplitChange, type SplitNumber } from '#runtime/element/receiver'
import { WatermarkGenerator, type WatermarkStrategy } from './watermark-strategy.ts'

/**
 * The watermark of an input that is made of splits: the least of those that are there. A source
 * that says nothing of its splits is taken as one.
 * I1 A split that waits to be read holds event time where it is, however idle it looks: its records
 *    will come.
 * I2 A split that is being read and has had no record for `idleAfter` does not count, unless all
 *    have had none: then the greatest of theirs counts.
 * I3 Where no split is left, the watermark is the greatest that any has come to.
 */
export class SplitWatermarks {
  readonly #strategy: WatermarkStrategy
  readonly #waiting = new Set<SplitNumber>()
  readonly #begun = new Map<SplitNumber, WatermarkGenerator>()
  #ended = MIN_WATERMARK
  #current: WatermarkGenerator

  constructor(strategy: WatermarkStrategy) {
    this.#strategy = strategy
    this.#current = new WatermarkGenerator(strategy)
  }

  /** Of the split whose records come now: takes their timestamps. */
  get current(): WatermarkGenerator {
    return this.#current
  }

  onSplit(split: SplitNumber, change: SplitChange): void {
    if (change === 'added') this.#waiting.add(split)
    else if (change === 'current') this.#current = this.#begin(split)
    else this.#end(split)
  }

  /** May go back where a split is added: what was said before stands. */
  watermark(monotonicMs: number): number {
    if (this.#waiting.size > 0) return MIN_WATERMARK
    if (this.#begun.size === 0) return Math.max(this.#ended, this.#current.watermark)
    let least = Infinity
    let greatestIdle = this.#ended
    for (const generator of this.#begun.values()) {
      const { watermark } = generator
      if (generator.isIdle(monotonicMs)) greatestIdle = Math.max(greatestIdle, watermark)
      else least = Math.min(least, watermark)
    }
    return least === Infinity ? greatestIdle : least
  }

  /** Whether no record has come for `idleAfter`, and none waits to be read. */
  isIdle(monotonicMs: number): boolean {
    if (this.#waiting.size > 0) return false
    if (this.#begun.size === 0) return this.#current.isIdle(monotonicMs)
    for (const generator of this.#begun.values()) if (!generator.isIdle(monotonicMs)) return false
    return true
  }

  #begin(split: SplitNumber): WatermarkGenerator {
    const begun = this.#begun.get(split)
    if (begun !== undefined) return begun
    this.#waiting.delete(split)
    const generator = new WatermarkGenerator(this.#strategy)
    this.#begun.set(split, generator)
    return generator
  }

  #end(split: SplitNumber): void {
    this.#waiting.delete(split)
    this.#ended = Math.max(this.#ended, this.#begun.get(split)?.watermark ?? MIN_WATERMARK)
    this.#begun.delete(split)
  }
}
