import type { PollResult, Receiver } from '#runtime/element/receiver'
import type { SideOutput } from '#runtime/element/side-output'
import type { ConnectorContext } from './connector-context.ts'

/**
 * A replayable source. Discovery (parallelism 1) finds splits and sends them in band to the
 * readers; readers own the offsets. One barrier cuts both, so no split is lost or doubled, and the
 * JobManager holds no source state.
 *
 * Split and position are JSON-like data: they are what is stored in checkpoints, and must stay
 * readable by later versions of the connector. Reading a split again from a stored position must
 * give the same records in the same order (the requirement behind exactly-once).
 */
export interface Source<T, S = any, P = any> {
  /** For plans and messages: `files.lines(s3://data/books/)`. */
  readonly description: string
  /** True when discovery ends by itself and so the job may finish. */
  readonly bounded: boolean
  /**
   * True when its records come with their event time and it sends watermarks: a window needs no
   * assignTimestamps behind it.
   */
  readonly givesTimestamps?: boolean
  /**
   * A second output of the readers, such as lines that cannot be read: records that they have
   * wrapped by it are no records of the source, but of `getSideOutput` behind it.
   */
  readonly sideOutput?: SideOutput<any> | undefined
  createDiscovery(context: SourceContext): SplitDiscovery<S>
  createReader(context: SourceContext): SplitReader<T, S, P>
}

export type SourceContext = Omit<ConnectorContext, 'uid' | 'attempt' | 'random'>

export interface SplitDiscovery<S> {
  /** State of an earlier snapshot, before the first poll; undefined on a fresh start. */
  open(restored: unknown): void | Promise<void>
  /** Hands new splits to `emit`; `done` once a bounded source has given all of them. */
  poll(emit: (split: S) => void): PollResult
  /** What has been handed out, as JSON-like data. Synchronous. */
  snapshot(): unknown
  /**
   * Whether every split that was there when it last looked has been given. Readers hold event time
   * back until then. Absent: it has, whenever `poll` gives none.
   */
  hasGivenAll?(): boolean
  close?(): void | Promise<void>
}

/**
 * Takes the records of a reader. A reader that names its splits, before the first record of each
 * and when each has ended, gets event time kept for each of them: what waits to be read does not
 * become late by what was read first. One that names none is taken as one split.
 */
export interface SplitOutput<T, S> extends Receiver<T> {
  /** The records that follow are of `split`, as it was added. */
  reading(split: S): void
  /** `split` has no more records. */
  finished(split: S): void
}

export interface SplitReader<T, S, P> {
  /** Adds a split; `position` is undefined for a new one, else where a snapshot left it. */
  addSplit(split: S, position: P | undefined): void
  /**
   * Emits a bounded slice of records (about 1,024) to `out`. `done`: every split given so far is
   * exhausted.
   */
  poll(out: SplitOutput<T, S>): PollResult
  /** Unfinished splits with their positions, as of the records emitted so far. Synchronous. */
  snapshot(): { split: S; position: P }[]
  close?(): void | Promise<void>
}
