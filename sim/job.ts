/**
 * The simulated job: two sources, two keyed counters, two sinks that commit in two phases;
 * everything is connected with everything of the next vertex.
 */
export const JOB_VERTICES = [
  { id: 'source', parallelism: 2 },
  { id: 'count', parallelism: 2 },
  { id: 'sink', parallelism: 2 },
] as const
export const JOB = { cluster: 'sim', namespace: 'sim', name: 'job', uid: 'job-1' }
export const PLAN = { planHash: 'plan', maxParallelism: 128, vertices: JOB_VERTICES }
export const CHECKPOINTS = { intervalMs: 60, timeoutMs: 400, minPauseMs: 5, tolerableFailures: 2, retain: 2 }
export const LEASE_TTL_MS = 300

/** One output of the job: record `offset` of `source`, the `n`th of its key. */
export interface OutputRow {
  readonly source: number
  readonly offset: number
  readonly key: string
  readonly n: number
}
