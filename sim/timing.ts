import { checkpointOptions, restartOptions } from '#runtime/contract/job-options'
import type { JobManagerTiming } from '#runtime/job-manager/job-manager'
import type { TaskManagerTiming } from '#runtime/task-manager/task-manager'

/**
 * The product's bounds, some ten times shorter where waiting would only cost time. What stays in
 * proportion: heartbeats fit several times into silence, a hand-over into the time that a leaving
 * TaskManager waits, a lease into the time that a JobManager needs to open an epoch.
 */
export const JOB_MANAGER_TIMING: JobManagerTiming = {
  candidate: { followMs: 400, retry: { initialMs: 40, maxMs: 500, multiplier: 2, jitter: 0.2 } },
  job: {
    adoptMs: 250,
    noProgressMs: 1500,
    handOverMs: 600,
    retry: { initialMs: 40, maxMs: 500, multiplier: 2, jitter: 0.2 },
  },
  registry: { helloMs: 1000, silenceMs: 1000 },
  // By the store's clock, which is fast.
  compaction: { afterRecords: 4, graceMs: 300_000 },
  deleteGraceMs: 300,
}

export const TASK_MANAGER_TIMING: TaskManagerTiming = { heartbeatMs: 100, leaveMs: 900, fillMs: 50 }

/** Small, so that states of a few hundred bytes are stored as large ones are. */
export const INLINE_BYTES = 150

export const ORPHAN_MS = 1500
export const LEASE_TTL_MS = 400

export const CHECKPOINT = checkpointOptions.parse({
  intervalMs: 150,
  timeoutMs: 1200,
  minPauseMs: 20,
  tolerableFailures: 3,
  retain: 2,
})

export const RESTART = restartOptions.parse({
  strategy: 'ExponentialDelay',
  delayMs: 30,
  maxDelayMs: 600,
  windowMs: 5000,
})
