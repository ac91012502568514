import type { Checksum } from './checksum.ts'
import type { Usage } from './probe.ts'

/** One run of one job by one engine, over its measured part. */
export interface Measurement extends Usage {
  readonly output: Checksum
  readonly rssBytes: number
  /** Completed ones; undefined where there are no checkpoints. */
  readonly checkpoints: Checkpoints | undefined
}

export interface Checkpoints {
  readonly count: number
  /** Median; of Flink the mean, which is what it reports. */
  readonly typicalMs: number
  readonly maxMs: number
}

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (i: number): number => sorted[Math.min(Math.max(i, 0), sorted.length - 1)] ?? NaN
  const middle = (sorted.length - 1) / 2
  return {
    min: at(0),
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    max: at(sorted.length - 1),
  }
}

export const cpuPerEvent = ({ cpuUs, events }: Usage): number => cpuUs / events
export const eventsPerSecond = ({ wallMs, events }: Usage): number => (events / wallMs) * 1000
