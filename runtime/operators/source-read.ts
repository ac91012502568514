import { notAPromise } from '#runtime/base/synchronous'
import type { Clock } from '#runtime/base/clock'
import type { Source, SplitReader } from '#runtime/connectors/source'
import type { PollResult, Receiver } from '#runtime/element/receiver'
import type { OperatorContext, StreamOperator } from './stream-operator.ts'

const EMPTY_IDLE_MS = 10_000

interface SplitPosition<S, P> {
  readonly split: S
  readonly position: P
}

/**
 * Reads the splits that discovery sends, and keeps where each one stands. Its input carries no
 * event time, so the only watermark it is ever given is the last one: when all splits are read, or
 * when the job is drained.
 */
export class SourceReadOperator<T, S, P> implements StreamOperator<S, T> {
  readonly #source: Source<T, S, P>
  #reader!: SplitReader<T, S, P>
  #out!: CountingReceiver<T>
  #wake!: () => void
  #clock!: Clock
  /** Monotonic milliseconds since which the reader has had nothing to read; undefined: it has. */
  #emptySince: number | undefined
  #isIdle = false

  constructor(source: Source<T, S, P>) {
    this.#source = source
  }

  /** Records read so far. */
  get emitted(): number {
    return this.#out?.count ?? 0
  }

  open(context: OperatorContext<T>): void {
    this.#out = new CountingReceiver(context.out)
    this.#wake = () => context.wake()
    this.#clock = context.clock
    this.#reader = this.#source.createReader(context)
    const { restored } = context.listState<SplitPosition<S, P>>('splits', 'split', () =>
      this.#reader.snapshot(),
    )
    for (const { split, position } of restored) this.#reader.addSplit(split, position)
  }

  onRecord(split: S): void {
    this.#reader.addSplit(split, undefined)
    this.#wake()
  }

  poll(): PollResult {
    const result = this.#reader.poll(this.#out)
    if (result !== 'done') {
      this.#emptySince = undefined
      this.#isIdle = false
    } else if (!this.#source.bounded && !this.#isIdle) this.#noteEmpty()
    return result
  }

  /**
   * Where discovery never ends, a reader without splits does not hold back event time for ever; but
   * for a while, so that what has been found already and is still on its way does not come too
   * late. Where discovery ends, the end of the reader says so in time.
   */
  #noteEmpty(): void {
    const now = this.#clock.monotonic()
    this.#emptySince ??= now
    if (now - this.#emptySince < EMPTY_IDLE_MS) return
    this.#isIdle = true
    this.#out.onIdle()
  }

  onWatermark(watermark: number): void {
    this.#out.onWatermark(watermark)
  }

  close(): void | Promise<void> {
    return this.#reader?.close?.()
  }
}

class CountingReceiver<T> implements Receiver<T> {
  readonly #out: Receiver<T>
  count = 0
  constructor(out: Receiver<T>) {
    this.#out = out
  }
  onRecord(value: T, timestamp: number): void {
    this.count++
    this.#out.onRecord(notAPromise(value, 'the source gave'), timestamp)
  }
  onWatermark(watermark: number): void {
    this.#out.onWatermark(watermark)
  }
  onIdle(): void {
    this.#out.onIdle?.()
  }
}
