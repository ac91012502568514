import * as z from 'zod'

/**
 * How a job is run, the same for `weir run` and for a StreamJob (the operator's CRD schema is
 * composed from the same fields, with durations as text). Inside processes everything is numbers:
 * milliseconds and bytes.
 */
export const checkpointOptions = z.strictObject({
  intervalMs: z
    .int()
    .min(10)
    .default(10_000)
    .describe('Time between checkpoint triggers. Shorter: less to replay, more storage requests.'),
  timeoutMs: z
    .int()
    .min(10)
    .default(300_000)
    .describe('A checkpoint not acknowledged by all tasks within it is given up.'),
  minPauseMs: z
    .int()
    .min(0)
    .default(500)
    .describe('Least time between the completion of one checkpoint and the trigger of the next.'),
  tolerableFailures: z
    .int()
    .min(0)
    .default(3)
    .describe('Consecutive failures tolerated before the job restarts.'),
  retain: z.int().min(1).default(3).describe('Completed checkpoints kept.'),
})
export type CheckpointOptions = z.infer<typeof checkpointOptions>

export const restartOptions = z.strictObject({
  strategy: z
    .enum(['ExponentialDelay', 'FailureRate'])
    .default('ExponentialDelay')
    .describe('What to do after a failure.'),
  delayMs: z
    .int()
    .min(0)
    .default(1000)
    .describe(
      'First delay; a lost process (not user code) is replaced without delay the first time in a window.',
    ),
  maxDelayMs: z.int().min(0).default(60_000).describe('Cap of the exponential delay.'),
  windowMs: z
    .int()
    .min(1)
    .default(600_000)
    .describe(
      'Counting window of FailureRate; time without failure after which ExponentialDelay starts over.',
    ),
  maxAttempts: z
    .int()
    .min(0)
    .optional()
    .describe('Restarts allowed (in a window for FailureRate); then the job is Failed. Default: no limit.'),
})
export type RestartOptions = z.infer<typeof restartOptions>

/**
 * Restore acts once per change of this block: the JobManager applies it at the first deployment of
 * its run and never again.
 */
export const restoreOptions = z.strictObject({
  /**
   * URL of a savepoint directory or of a manifest.json of a checkpoint. Absent: start empty, on
   * purpose.
   */
  path: z.string().optional(),
  allowNonRestoredState: z.boolean().default(false),
})
export type RestoreOptions = z.infer<typeof restoreOptions>

export const jobIdentity = z.strictObject({
  /** uid of the kube-system namespace; a generated id in local mode. */
  cluster: z.string().min(1),
  namespace: z.string().min(1),
  name: z.string().min(1),
  uid: z.string().min(1),
})
export type JobIdentity = z.infer<typeof jobIdentity>
