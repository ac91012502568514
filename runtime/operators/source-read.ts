import { notAPromise } from '#runtime/base/synchronous'
import type { Clock } from '#runtime/base/clock'
import type { Source, SplitOutput, SplitReader } from '#runtime/connectors/source'
import type { PollResult, Receiver, SplitChange, SplitNumber } from '#runtime/element/receiver'
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
  #out!: SourceOutput<T, S>
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
    this.#out = new SourceOutput(context.out)
    this.#wake = () => context.wake()
    this.#clock = context.clock
    this.#reader = this.#source.createReader(context)
    const { restored } = context.listState<SplitPosition<S, P>>('splits', 'split', () =>
      this.#reader.snapshot(),
    )
    for (const { split, position } of restored) this.#add(split, position)
  }

  onRecord(split: S): void {
    this.#add(split, undefined)
    this.#wake()
  }

  /** From discovery: what was there at the start has been given. */
  onIdle(): void {
    this.#out.allAreGiven()
  }

  poll(): PollResult {
    const result = this.#reader.poll(this.#out)
    this.#out.polled()
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

  #add(split: S, position: P | undefined): void {
    this.#out.added(split)
    this.#reader.addSplit(split, position)
  }

  close(): void | Promise<void> {
    return this.#reader?.close?.()
  }
}

/** Number of what discovery has not given yet. */
const NOT_GIVEN: SplitNumber = 0

/** Counts the records of a reader, and says of which split they are if the reader does. */
class SourceOutput<T, S> implements SplitOutput<T, S> {
  readonly #out: Receiver<T>
  /** Splits that are there; undefined: the reader does not name them. */
  #numbers: Map<S, SplitNumber> | undefined = new Map()
  #next = NOT_GIVEN + 1
  #hasNamed = false
  #areAllGiven = false
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

  added(split: S): void {
    const number = this.#next++
    this.#numbers?.set(split, number)
    if (this.#hasNamed) this.#say(number, 'added')
  }

  allAreGiven(): void {
    if (this.#hasNamed && !this.#areAllGiven) this.#say(NOT_GIVEN, 'ended')
    this.#areAllGiven = true
  }

  reading(split: S): void {
    const number = this.#numbers?.get(split)
    if (number === undefined) return
    if (!this.#hasNamed) this.#sayAll()
    this.#say(number, 'current')
  }

  finished(split: S): void {
    const number = this.#numbers?.get(split)
    if (number === undefined) return
    this.#numbers?.delete(split)
    if (this.#hasNamed) this.#say(number, 'ended')
  }

  /** After each poll: a reader that has emitted and named no split will name none. */
  polled(): void {
    if (this.count > 0 && !this.#hasNamed) this.#numbers = undefined
  }

  #sayAll(): void {
    this.#hasNamed = true
    if (!this.#areAllGiven) this.#say(NOT_GIVEN, 'added')
    for (const number of this.#numbers?.values() ?? []) this.#say(number, 'added')
  }

  #say(number: SplitNumber, change: SplitChange): void {
    this.#out.onSplit?.(number, change)
  }
}
