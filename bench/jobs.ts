import { defineJob, type Environment, generator, monotonous, sliding, tumbling } from '#runtime/index'
import * as z from 'zod'
import { BENCH_JOBS, type BenchJob } from './checksum.ts'
import { checksumSink } from './checksum-sink.ts'
import { BID, type Bid, event, sentence } from './events.ts'
import { moment, writeReport } from './probe.ts'

const args = z.strictObject({
  job: z.enum(BENCH_JOBS),
  events: z.int().positive(),
  /** Measured from this event on. */
  warmup: z.int().min(0),
  /** Directory of the reports. */
  out: z.string(),
})
type Args = z.infer<typeof args>

/** The same jobs as in bare.ts and as the Flink harness runs, written as a user would. */
export default defineJob({ args }, ({ env, args: given }) => JOBS[given.job](env, given))

const JOBS: Readonly<Record<BenchJob, (env: Environment, args: Args) => void>> = {
  wc(env, given) {
    env
      .source('sentences', generator({ count: given.events, make: marked(given, sentence) }))
      .flatMap((text) => text.split(' '))
      .keyBy((word) => word)
      .count('count')
      .sink(
        'sum',
        checksumSink(given.out, (r) => r.count),
      )
  },
  q0(env, given) {
    bids(env, given).sink(
      'sum',
      checksumSink(given.out, (b) => b.price),
    )
  },
  q1(env, given) {
    bids(env, given)
      .map((b) => ({ ...b, price: Math.floor((b.price * 908) / 1000) }))
      .sink(
        'sum',
        checksumSink(given.out, (b) => b.price),
      )
  },
  q2(env, given) {
    bids(env, given)
      .filter((b) => b.auction % 123 === 0)
      .map(({ auction, price }) => ({ auction, price }))
      .sink(
        'sum',
        checksumSink(given.out, (r) => r.auction + r.price),
      )
  },
  q5(env, given) {
    bids(env, given)
      .assignTimestamps((b) => b.ts, monotonous())
      .keyBy((b) => b.auction)
      .window('bids', sliding({ size: '10s', slide: '2s' }))
      .count()
      .keyBy((r) => r.window.end)
      .window('hottest', tumbling('2s'))
      .reduce((a, b) => (a.count > b.count || (a.count === b.count && a.key < b.key) ? a : b))
      .sink(
        'sum',
        checksumSink(given.out, ({ value }) => value.key * 31 + value.count),
      )
  },
}

const bids = (env: Environment, given: Args) =>
  env
    .source('events', generator({ count: given.events, make: marked(given, event) }))
    .filter((e) => e.type === BID)
    .map((e) => e.bid as Bid)

/** `make`, and a report of the moment at which the measured part begins. */
const marked =
  <T>({ warmup, out }: Args, make: (n: number) => T) =>
  (n: number): T => {
    if (n === warmup) writeReport(out, 'warm.json', moment())
    return make(n)
  }
