import type { CheckpointId, Epoch } from '#runtime/contract/ids'

/**
 * Aligned exactly-once over the channels of one task, pure.
 *
 * I1 A barrier is (epoch, id), ordered by epoch first: equal ids of two leaders are two different
 *    cuts and never align with each other.
 * I2 `newest` only grows. A barrier at or below it that is not the pending one is dropped and its
 *    channel stays open.
 * I3 A channel is blocked exactly while the pending barrier has come through it and has not come
 *    through all others.
 * I4 The end of a channel's data is not the end of the channel: barriers come after it, too.
 */
export interface BarrierId {
  readonly epoch: Epoch
  readonly id: CheckpointId
}

export function compareBarriers(a: BarrierId, b: BarrierId): number {
  return a.epoch - b.epoch || a.id - b.id
}

export type Alignment<B extends BarrierId> =
  /**
   * The channel stays blocked until the others deliver. `first`: this barrier started the alignment
   * (start of the alignment time).
   */
  | {
      readonly outcome: 'wait'
      readonly barrier: B
      readonly first: boolean
      readonly cancelled: B | undefined
    }
  /**
   * Everything before the barrier has been read, nothing behind it: take the snapshot now, then
   * read on; no channel is blocked any more.
   */
  | {
      readonly outcome: 'aligned'
      readonly barrier: B
      readonly first: boolean
      readonly cancelled: B | undefined
    }
  /** Late barrier of a cancelled, aborted or finished alignment; read on. */
  | { readonly outcome: 'dropped' }

export class BarrierAligner<B extends BarrierId = BarrierId> {
  readonly #delivered: boolean[]
  #missing = 0
  #pending: B | undefined
  #newest: BarrierId = { epoch: 0, id: 0 }

  constructor(channels: number) {
    this.#delivered = Array.from({ length: channels }, () => false)
  }

  get pending(): B | undefined {
    return this.#pending
  }

  /** True: read nothing more from this channel until the alignment ends. */
  isBlocked(channel: number): boolean {
    return this.#pending !== undefined && this.#delivered[channel] === true
  }

  /** The barrier was read from an open, unblocked channel. */
  onBarrier(channel: number, barrier: B): Alignment<B> {
    const order = compareBarriers(barrier, this.#newest)
    const joins = this.#pending !== undefined && order === 0
    if (joins ? this.#delivered[channel] : order <= 0) return { outcome: 'dropped' }
    const cancelled = joins ? undefined : this.#pending
    if (!joins) this.#begin(barrier)
    this.#delivered[channel] = true
    this.#missing--
    return this.#progress(barrier, !joins, cancelled)
  }

  /**
   * The coordinator gave up this barrier and with it every lower one: a pending alignment at or
   * below it is cancelled (returned) and its channels are open again; barriers at or below it that
   * are still under way will be dropped.
   */
  onAbort(aborted: BarrierId): B | undefined {
    if (compareBarriers(aborted, this.#newest) > 0) this.#newest = { epoch: aborted.epoch, id: aborted.id }
    const pending = this.#pending
    if (pending === undefined || compareBarriers(pending, aborted) > 0) return undefined
    this.#pending = undefined
    return pending
  }

  #begin(barrier: B): void {
    this.#pending = barrier
    this.#newest = barrier
    this.#delivered.fill(false)
    this.#missing = this.#delivered.length
  }

  #progress(barrier: B, first: boolean, cancelled: B | undefined): Alignment<B> {
    if (this.#missing > 0) return { outcome: 'wait', barrier, first, cancelled }
    this.#pending = undefined
    return { outcome: 'aligned', barrier, first, cancelled }
  }
}
