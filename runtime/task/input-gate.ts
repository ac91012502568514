import { assertNever } from '#runtime/base/errors'
import { BarrierAligner, type BarrierId } from './barrier-aligner.ts'
import type { Barrier } from '#runtime/contract/rpc'
import type { StreamElement } from '#runtime/element/stream-element'
import { WatermarkMerger } from '#runtime/time/watermark-merger'
import type { InputChannel } from './channel.ts'

export type GateEvent =
  | { readonly kind: 'batch'; readonly element: Extract<StreamElement, { kind: 'batch' }> }
  | { readonly kind: 'watermark'; readonly watermark: number }
  /** The barrier has arrived on every channel; records taken next belong to the next checkpoint. */
  | { readonly kind: 'aligned'; readonly barrier: Barrier; readonly alignmentMs: number }
  /** No channel has records for now. */
  | { readonly kind: 'idle' }
  /**
   * Every channel has ended: no record will come any more. Barriers still do, until the job ends.
   */
  | { readonly kind: 'ended' }
  /** An element was consumed that asks for nothing. */
  | { readonly kind: 'absorbed' }

/**
 * The inputs of a task: takes elements channel by channel, aligns barriers, merges watermarks. The
 * one switch over stream elements.
 * I1 After a channel's barrier nothing of that channel is taken until the alignment ends.
 * I2 `ended` is reported once, after the last record.
 */
export class InputGate {
  readonly #channels: readonly InputChannel[]
  readonly #aligner: BarrierAligner<Barrier>
  readonly #merger: WatermarkMerger
  readonly #monotonic: () => number
  #next = 0
  #open: number
  #firstBarrierAt = 0

  constructor(channels: readonly InputChannel[], monotonic: () => number) {
    this.#channels = channels
    this.#aligner = new BarrierAligner(channels.length)
    this.#merger = new WatermarkMerger(channels.length)
    this.#monotonic = monotonic
    this.#open = channels.length
  }

  /** Whether `take` would find something. */
  hasInput(): boolean {
    for (let i = 0; i < this.#channels.length; i++)
      if (this.#channels[i]?.length !== 0 && !this.#aligner.isBlocked(i)) return true
    return false
  }

  take(): GateEvent | undefined {
    const n = this.#channels.length
    for (let tried = 0; tried < n; tried++) {
      const i = this.#next
      this.#next = i + 1 === n ? 0 : i + 1
      if (this.#aligner.isBlocked(i)) continue
      const element = this.#channels[i]?.take()
      if (element !== undefined) return this.#handle(i, element)
    }
    return undefined
  }

  onAbort(barrier: BarrierId): void {
    this.#aligner.onAbort(barrier)
  }

  #handle(channel: number, element: StreamElement): GateEvent {
    switch (element.kind) {
      case 'batch':
        this.#merger.onActive(channel)
        return { kind: 'batch', element }
      case 'watermark':
        return this.#watermark(this.#merger.onWatermark(channel, element.watermark))
      case 'idle': {
        const watermark = this.#merger.onIdle(channel)
        if (watermark !== undefined) return { kind: 'watermark', watermark }
        return { kind: this.#merger.isIdle ? 'idle' : 'absorbed' }
      }
      case 'end':
        return this.#end(channel)
      case 'barrier':
        return this.#barrier(channel, element.barrier)
      default:
        return assertNever(element)
    }
  }

  #end(channel: number): GateEvent {
    const input = this.#channels[channel]
    if (input === undefined || input.ended) return { kind: 'absorbed' }
    input.ended = true
    this.#open--
    return this.#open === 0 ? { kind: 'ended' } : this.#watermark(this.#merger.onEnd(channel))
  }

  #watermark(advanced: number | undefined): GateEvent {
    return advanced === undefined ? { kind: 'absorbed' } : { kind: 'watermark', watermark: advanced }
  }

  #barrier(channel: number, barrier: Barrier): GateEvent {
    const alignment = this.#aligner.onBarrier(channel, barrier)
    if (alignment.outcome === 'dropped') return { kind: 'absorbed' }
    const now = this.#monotonic()
    if (alignment.first) this.#firstBarrierAt = now
    if (alignment.outcome === 'wait') return { kind: 'absorbed' }
    return { kind: 'aligned', barrier, alignmentMs: now - this.#firstBarrierAt }
  }
}
