import type { CheckpointOptions, RestartOptions, RestoreOptions } from '#runtime/contract/job-options'
import type { S3Access } from '#runtime/contract/process-config'

/**
 * A job as `weir run` starts it, whether it came from a module, a manifest, or a test. What is
 * absent has the default of runtime/contract/job-options.ts.
 */
export interface LocalJob {
  readonly name: string
  /**
   * Job module or manifest that the user named, absolute; shown, and remembered for the next start.
   */
  readonly file: string
  readonly module: LocalModule
  readonly args: Readonly<Record<string, unknown>>
  readonly taskManagers: number
  readonly slots: number
  readonly parallelism?: number
  readonly maxParallelism?: number
  readonly checkpoint: Partial<CheckpointOptions>
  readonly restart: Partial<RestartOptions>
  readonly restore?: RestoreOptions
  /** Also where the run goes on from where the last one was. */
  readonly allowNonRestoredState?: boolean
  /**
   * Of a restore block that stays in a manifest: it acts once for each value of this. Absent: it
   * acts now, as an option does.
   */
  readonly restoreKey?: string
  /** For `s3://` paths in connectors; checkpoints of a local job are files. */
  readonly s3?: S3Access
}

/**
 * A module file; the source of an inline module; a bundle, of a module that imports files of its
 * own, to be written to `path` when the job runs.
 */
export type LocalModule =
  | { readonly path: string }
  | { readonly source: string }
  | { readonly path: string; readonly bundle: string; readonly warnings: readonly string[] }

/** What is doubtful in the job's files, each with file and line. */
export const moduleWarnings = ({ module }: LocalJob): readonly string[] =>
  'bundle' in module ? module.warnings : []

/**
 * What every laptop can take: two TaskManagers with two slots each, a checkpoint every second. A
 * module that keeps failing ends with its error after a few attempts, because somebody is looking;
 * a manifest says itself what it wants.
 */
export const LOCAL_DEFAULTS = {
  taskManagers: 2,
  slots: 2,
  checkpoint: { intervalMs: 1000, minPauseMs: 100 },
  restart: { strategy: 'FailureRate', delayMs: 500, windowMs: 60_000, maxAttempts: 3 },
} as const
