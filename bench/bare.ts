/**
 * The jobs without an engine: one function call per record from step to step, state in Maps, no
 * barriers, no timers, no exchange, no metrics. What remains is the user's own work and the
 * generator, so the distance to it is what the engine costs.
 */
import type { BenchJob, Checksum } from './checksum.ts'
import { BID, type Bid, event, type Event, sentence, timestampOf } from './events.ts'

interface Step<T> {
  record(value: T): void
  /** No event at or before `time` will come any more. */
  watermark(time: number): void
}

class Sum<T> implements Step<T> {
  count = 0
  sum = 0
  readonly #of: (value: T) => number
  constructor(of: (value: T) => number) {
    this.#of = of
  }
  record(value: T): void {
    this.count++
    this.sum += this.#of(value)
  }
  watermark(): void {}
}

class Filter<T> implements Step<T> {
  readonly #test: (value: T) => boolean
  readonly #next: Step<T>
  constructor(test: (value: T) => boolean, next: Step<T>) {
    this.#test = test
    this.#next = next
  }
  record(value: T): void {
    if (this.#test(value)) this.#next.record(value)
  }
  watermark(time: number): void {
    this.#next.watermark(time)
  }
}

class Apply<T, R> implements Step<T> {
  readonly #map: (value: T) => R
  readonly #next: Step<R>
  constructor(map: (value: T) => R, next: Step<R>) {
    this.#map = map
    this.#next = next
  }
  record(value: T): void {
    this.#next.record(this.#map(value))
  }
  watermark(time: number): void {
    this.#next.watermark(time)
  }
}

class Flatten<T, R> implements Step<T> {
  readonly #map: (value: T) => Iterable<R>
  readonly #next: Step<R>
  constructor(map: (value: T) => Iterable<R>, next: Step<R>) {
    this.#map = map
    this.#next = next
  }
  record(value: T): void {
    for (const result of this.#map(value)) this.#next.record(result)
  }
  watermark(time: number): void {
    this.#next.watermark(time)
  }
}

class CountByKey<K> implements Step<K> {
  readonly #counts = new Map<K, { count: number }>()
  readonly #next: Step<{ key: K; count: number }>
  constructor(next: Step<{ key: K; count: number }>) {
    this.#next = next
  }
  record(key: K): void {
    let cell = this.#counts.get(key)
    if (cell === undefined) this.#counts.set(key, (cell = { count: 0 }))
    cell.count++
    this.#next.record({ key, count: cell.count })
  }
  watermark(): void {}
}

const SLIDE_MS = 2000
const PANES_PER_WINDOW = 5

/**
 * Per window of 10 s each 2 s the auction with the most bids (the smaller id when equal), counted
 * once per 2 s pane.
 */
class HottestAuction implements Step<Bid> {
  /** Pane number -> bids per auction. */
  readonly #panes = new Map<number, Map<number, number>>()
  readonly #next: Step<{ auction: number; count: number }>
  #current = new Map<number, number>()
  #currentNumber = -1
  /** The pane that ends the next window to fire. */
  #due = -1
  constructor(next: Step<{ auction: number; count: number }>) {
    this.#next = next
  }

  record(bid: Bid): void {
    const number = Math.floor(bid.ts / SLIDE_MS)
    if (number !== this.#currentNumber) this.#open(number)
    this.#current.set(bid.auction, (this.#current.get(bid.auction) ?? 0) + 1)
  }

  watermark(time: number): void {
    while (this.#panes.size > 0 && (this.#due + 1) * SLIDE_MS - 1 <= time) {
      this.#fire(this.#due)
      this.#panes.delete(this.#due - PANES_PER_WINDOW + 1)
      this.#due++
    }
    this.#next.watermark(time)
  }

  #open(number: number): void {
    if (this.#due < 0) this.#due = number
    this.#current = this.#panes.get(number) ?? new Map()
    this.#panes.set(number, this.#current)
    this.#currentNumber = number
  }

  #fire(last: number): void {
    const total = new Map<number, number>()
    for (let number = last - PANES_PER_WINDOW + 1; number <= last; number++)
      for (const [auction, count] of this.#panes.get(number) ?? [])
        total.set(auction, (total.get(auction) ?? 0) + count)
    let best = { auction: 0, count: 0 }
    for (const [auction, count] of total)
      if (count > best.count || (count === best.count && auction < best.auction)) best = { auction, count }
    if (best.count > 0) this.#next.record(best)
  }
}

const bids = (next: Step<Bid>): Step<Event> =>
  new Filter((e) => e.type === BID, new Apply((e) => e.bid as Bid, next))

interface Chain {
  readonly make: (n: number) => unknown
  readonly head: Step<any>
  readonly sink: Checksum
}

const CHAINS: Readonly<Record<BenchJob, () => Chain>> = {
  wc() {
    const sink = new Sum<{ count: number }>((r) => r.count)
    return {
      make: sentence,
      head: new Flatten((text: string) => text.split(' '), new CountByKey<string>(sink)),
      sink,
    }
  },
  q0() {
    const sink = new Sum<Bid>((b) => b.price)
    return { make: event, head: bids(sink), sink }
  },
  q1() {
    const sink = new Sum<Bid>((b) => b.price)
    return {
      make: event,
      head: bids(new Apply((b) => ({ ...b, price: Math.floor((b.price * 908) / 1000) }), sink)),
      sink,
    }
  },
  q2() {
    const sink = new Sum<{ auction: number; price: number }>((r) => r.auction + r.price)
    const project = new Apply(({ auction, price }: Bid) => ({ auction, price }), sink)
    return { make: event, head: bids(new Filter((b) => b.auction % 123 === 0, project)), sink }
  },
  q5() {
    const sink = new Sum<{ auction: number; count: number }>((r) => r.auction * 31 + r.count)
    return { make: event, head: bids(new HottestAuction(sink)), sink }
  },
}

const BATCH = 1024

/** Runs `job` over events 0 to `events` - 1; `onWarm` is called before event number `warmup`. */
export function runBare(
  job: BenchJob,
  events: number,
  warmup = 0,
  onWarm: () => void = () => undefined,
): Checksum {
  const { make, head, sink } = CHAINS[job]()
  for (let from = 0; from < events;) {
    if (from === warmup) onWarm()
    const to = Math.min(from + BATCH, events, from < warmup ? warmup : events)
    for (let n = from; n < to; n++) head.record(make(n))
    head.watermark(timestampOf(to - 1) - 1)
    from = to
  }
  head.watermark(Infinity)
  return { count: sink.count, sum: sink.sum }
}
