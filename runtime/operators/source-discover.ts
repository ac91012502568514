import type { Source, SplitDiscovery } from '#runtime/connectors/source'
import type { PollResult, Receiver } from '#runtime/element/receiver'
import type { OperatorContext, StreamOperator } from './stream-operator.ts'

/**
 * Finds the splits of a source and sends them to the readers as records. Emits no watermark of its
 * own: event time begins at the readers. That it is idle, said once, tells them that they have been
 * given what was there at the start; the end of this vertex's channels, that no split will follow.
 */
export class SourceDiscoverOperator<S> implements StreamOperator<never, S> {
  readonly #source: Source<any, S>
  #discovery!: SplitDiscovery<S>
  #out!: Receiver<S>
  /** Splits handed out; what the task counts as this source's records. */
  emitted = 0
  #saidThatAllAreGiven = false

  constructor(source: Source<any, S>) {
    this.#source = source
  }

  async open(context: OperatorContext<S>): Promise<void> {
    this.#out = context.out
    this.#discovery = this.#source.createDiscovery(context)
    const { restored } = context.listState('discovery', 'union', () => [
      { discovery: this.#discovery.snapshot() },
    ])
    await this.#discovery.open(restored[0]?.discovery)
  }

  poll(): PollResult {
    const result = this.#discovery.poll(this.#emit)
    if (result !== 'progressed' && !this.#saidThatAllAreGiven && this.#discovery.hasGivenAll?.() !== false) {
      this.#saidThatAllAreGiven = true
      this.#out.onIdle?.()
    }
    return result
  }

  readonly #emit = (split: S): void => {
    this.emitted++
    this.#out.onRecord(split, -Infinity)
  }

  onRecord(): void {}

  onWatermark(): void {}

  close(): void | Promise<void> {
    return this.#discovery?.close?.()
  }
}
