/**
 * What a job has put out: the number of records and an order-independent sum over them. Equal for
 * every engine that got the same events.
 */
export interface Checksum {
  readonly count: number
  readonly sum: number
}

export const BENCH_JOBS = ['wc', 'q0', 'q1', 'q2', 'q5'] as const
export type BenchJob = (typeof BENCH_JOBS)[number]

/**
 * Results of Flink 2.3.0 (DataStream jobs of the peer harness, parallelism 1, exactly once) by
 * number of events.
 */
const KNOWN: Readonly<Record<BenchJob, Readonly<Record<number, Checksum>>>> = {
  wc: {
    200_000: { count: 2_000_000, sum: 517_468_305 },
    2_000_000: { count: 20_000_000, sum: 51_593_006_128 },
  },
  q0: {
    200_000: { count: 184_000, sum: 1_313_468_833_007 },
    2_000_000: { count: 1_840_000, sum: 13_268_344_280_625 },
    40_000_000: { count: 36_800_000, sum: 265_348_314_695_125 },
  },
  q1: {
    200_000: { count: 184_000, sum: 1_192_629_608_695 },
    2_000_000: { count: 1_840_000, sum: 12_047_655_690_171 },
    40_000_000: { count: 36_800_000, sum: 240_936_251_416_049 },
  },
  q2: {
    200_000: { count: 1558, sum: 13_581_521_926 },
    2_000_000: { count: 14_480, sum: 104_709_433_890 },
    40_000_000: { count: 301_822, sum: 2_553_947_592_806 },
  },
  q5: {
    200_000: { count: 5, sum: 515_595 },
    2_000_000: { count: 14, sum: 25_596_035 },
    10_000_000: { count: 54, sum: 503_476_254 },
  },
}

/**
 * Events of a run when none are asked for: some seconds of work, so that several checkpoints fall
 * into it.
 */
export const DEFAULT_EVENTS: Readonly<Record<BenchJob, number>> = {
  wc: 2_000_000,
  q0: 40_000_000,
  q1: 40_000_000,
  q2: 40_000_000,
  q5: 10_000_000,
}

export const knownChecksum = (job: BenchJob, events: number): Checksum | undefined => KNOWN[job][events]

/** A job over a number of events; its output is the same whoever runs it. */
export interface Workload {
  readonly job: BenchJob
  readonly events: number
}

/**
 * @throws {Error} when two runs over the same events did not put out the same: a measurement of
 *   wrong results is worth nothing
 */
export function requireEqual(
  { job, events }: Workload,
  who: string,
  got: Checksum,
  expected: Checksum,
): void {
  if (got.count === expected.count && got.sum === expected.sum) return
  const text = ({ count, sum }: Checksum) => `${count} records with checksum ${sum}`
  throw new Error(`${job} over ${events} events: ${who} put out ${text(got)}, expected ${text(expected)}.`)
}
