import { WeirError } from '#runtime/base/errors'
import { refuseUnknownOptions } from '#runtime/base/known-options'
import type { Sync } from '#runtime/base/synchronous'
import { FixedDiscovery } from '#runtime/connectors/fixed-discovery'
import type { Source, SourceContext, SplitReader } from '#runtime/connectors/source'
import type { PollResult, Receiver } from '#runtime/element/receiver'

export interface GeneratorOptions<T> {
  /** Records in all, numbered from 0; absent: without end. */
  readonly count?: number
  /** Records per second over all splits; absent: as fast as they are taken. */
  readonly rate?: number
  /** Record number n. Must depend on n alone, because records are made again after a failure. */
  readonly make: (n: number) => Sync<T>
  /**
   * Parts that can be read in parallel: split i makes the numbers i, i + splits, i + 2 splits and
   * so on. Default 1; give at least the parallelism of the source.
   */
  readonly splits?: number
}

/** `index` of `of` splits. */
export interface GeneratorSplit {
  readonly index: number
  readonly of: number
}

const RECORDS_PER_POLL = 1024

/** Records made by a function of their number. */
export function generator<T>(options: GeneratorOptions<T>): Source<T, GeneratorSplit, number> {
  refuseUnknownOptions('generator', options, ['count', 'rate', 'make', 'splits'])
  const { count = Infinity, rate = Infinity, splits = 1, make } = options
  check(
    'count',
    count,
    count === Infinity || (Number.isSafeInteger(count) && count >= 0),
    'a whole number of at least 0',
  )
  check('rate', rate, rate > 0, 'a number above 0, records per second')
  check('splits', splits, Number.isSafeInteger(splits) && splits >= 1, 'a whole number of at least 1')
  if (typeof make !== 'function')
    throw new WeirError('CFG_GRAPH', 'generator: make is not a function. Expected make: (n) => record.')
  const end = count === Infinity ? 'without end' : `${count} records`
  return {
    description: `generator(${end}${rate === Infinity ? '' : `, ${rate}/s`})`,
    bounded: count !== Infinity,
    createDiscovery: () =>
      new FixedDiscovery(
        Array.from({ length: splits }, (_, index) => ({ index, of: splits })),
        count !== Infinity,
      ),
    createReader: (context) => new GeneratorReader(make as (n: number) => T, count, rate, context),
  }
}

function check(name: string, value: number, ok: boolean, expected: string): void {
  if (!ok) throw new WeirError('CFG_GRAPH', `generator: ${name} is ${value}; expected ${expected}.`)
}

interface Progress {
  readonly split: GeneratorSplit
  /** The number made next. */
  next: number
  /** Records that may be made until `since` plus the time that has passed allows more. */
  readonly since: number
  made: number
}

class GeneratorReader<T> implements SplitReader<T, GeneratorSplit, number> {
  readonly #make: (n: number) => T
  readonly #count: number
  readonly #rate: number
  readonly #context: SourceContext
  #active: Progress[] = []
  #turn = 0
  #timer: { cancel(): void } | undefined

  constructor(make: (n: number) => T, count: number, rate: number, context: SourceContext) {
    this.#make = make
    this.#count = count
    this.#rate = rate
    this.#context = context
  }

  addSplit(split: GeneratorSplit, position: number | undefined): void {
    this.#active.push({
      split,
      next: position ?? split.index,
      since: this.#context.clock.monotonic(),
      made: 0,
    })
  }

  poll(out: Receiver<T>): PollResult {
    for (let tried = 0; tried < this.#active.length; tried++) {
      this.#turn = this.#turn + 1 >= this.#active.length ? 0 : this.#turn + 1
      const progress = this.#active[this.#turn]
      const allowed = progress === undefined ? 0 : this.#allowed(progress)
      if (progress === undefined || allowed < 1) continue
      this.#emit(progress, allowed, out)
      if (progress.next >= this.#count) this.#active = this.#active.filter((p) => p !== progress)
      return 'progressed'
    }
    if (this.#active.length === 0) return 'done'
    this.#wakeLater()
    return 'idle'
  }

  snapshot(): { split: GeneratorSplit; position: number }[] {
    return this.#active.map(({ split, next }) => ({ split, position: next }))
  }

  close(): void {
    this.#timer?.cancel()
  }

  #emit(progress: Progress, allowed: number, out: Receiver<T>): void {
    const step = progress.split.of
    const make = this.#make
    const left = Math.ceil((this.#count - progress.next) / step)
    const n = Math.max(0, Math.min(RECORDS_PER_POLL, allowed, left))
    for (let i = 0; i < n; i++) {
      const number = progress.next
      // Before the call: whoever takes a snapshot from inside it would see the record as made.
      progress.next = number + step
      out.onRecord(make(number), -Infinity)
    }
    progress.made += n
  }

  #allowed({ since, made, split }: Progress): number {
    if (this.#rate === Infinity) return RECORDS_PER_POLL
    const elapsedMs = this.#context.clock.monotonic() - since
    return Math.floor((elapsedMs / 1000) * (this.#rate / split.of)) - made
  }

  /** When the first split may make its next record, but not for less than a millisecond. */
  #wakeLater(): void {
    if (this.#timer !== undefined) return
    const now = this.#context.clock.monotonic()
    const waits = this.#active.map(
      ({ since, made, split }) => since + ((made + 1) * 1000 * split.of) / this.#rate - now,
    )
    this.#timer = this.#context.clock.after(Math.max(1, Math.min(...waits)), () => {
      this.#timer = undefined
      this.#context.wake()
    })
  }
}
