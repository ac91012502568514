import type { KeyGroupRange } from '#runtime/element/key-group'
import { MAX_WATERMARK, MIN_WATERMARK } from '#runtime/element/receiver'

/** Event time of the key groups [from, to), as stored in checkpoints. */
export interface KeyGroupWatermark extends KeyGroupRange {
  readonly watermark: number
}

/**
 * How far event time has come for each key group of a subtask. While the subtask runs it is the
 * same for all; but two subtasks may have come to different times at one barrier (where idle inputs
 * wake up, the merged watermark depends on the order between inputs), and after a change of
 * parallelism one subtask has key groups of both. Each group then keeps the time of its old owner
 * until the others have caught up: what was complete stays complete, what was late stays late.
 * I1 The watermark of a group never goes back, and is never below what `advance` was told last.
 * I2 Once all groups have the same, they stay together.
 * I3 The end of event time is never stored. It says that nothing more comes to this run (its data
 *    have ended, or it is drained), not how far time has come: a job that goes on from the stored
 *    state with more data goes on from the watermark before it. Whatever the end makes complete is
 *    in what is stored with it, so a restart in between repeats nothing. (Flink stores no
 *    watermark at all, and warns of going on from a drained savepoint: docs/deployment/cli.md,
 *    `stop --drain`.)
 */
export class KeyGroupWatermarks {
  readonly #range: KeyGroupRange
  #least: number
  /** By group, from the start of the range; undefined while all have `#least`. */
  #byGroup: Float64Array | undefined
  /** As it stood when event time ended. */
  #beforeEnd: readonly KeyGroupWatermark[] | undefined

  /** `stored`: by any subtasks. Groups that none of them had begin at the beginning of time. */
  constructor(range: KeyGroupRange, stored: readonly KeyGroupWatermark[] = []) {
    this.#range = range
    const byGroup = new Float64Array(range.to - range.from).fill(MIN_WATERMARK)
    for (const { from, to, watermark } of stored)
      for (let group = Math.max(from, range.from); group < Math.min(to, range.to); group++)
        byGroup[group - range.from] = Math.max(byGroup[group - range.from]!, watermark)
    this.#least = Math.min(...byGroup)
    this.#byGroup = this.#unlessUniform(byGroup)
  }

  get isUniform(): boolean {
    return this.#byGroup === undefined
  }

  /** Of the group that is furthest behind. */
  get least(): number {
    return this.#least
  }

  /** Of a group of this subtask. */
  of(keyGroup: number): number {
    return this.#byGroup?.[keyGroup - this.#range.from] ?? this.#least
  }

  /** Brings the groups that are behind to `watermark`. */
  advance(watermark: number): void {
    if (watermark <= this.#least) return
    if (watermark === MAX_WATERMARK) this.#beforeEnd = this.snapshot()
    this.#least = watermark
    const byGroup = this.#byGroup
    if (byGroup === undefined) return
    for (let i = 0; i < byGroup.length; i++) byGroup[i] = Math.max(byGroup[i]!, watermark)
    this.#least = Math.min(...byGroup)
    this.#byGroup = this.#unlessUniform(byGroup)
  }

  /** For the constructor of whoever owns the groups next. */
  snapshot(): readonly KeyGroupWatermark[] {
    if (this.#beforeEnd !== undefined) return this.#beforeEnd
    const { from, to } = this.#range
    const runs: { readonly from: number; to: number; readonly watermark: number }[] = []
    for (let group = from; group < to; group++) {
      const watermark = this.of(group)
      const last = runs.at(-1)
      if (last?.watermark === watermark) last.to = group + 1
      else runs.push({ from: group, to: group + 1, watermark })
    }
    return runs
  }

  #unlessUniform(byGroup: Float64Array): Float64Array | undefined {
    return byGroup.every((watermark) => watermark === this.#least) ? undefined : byGroup
  }
}
