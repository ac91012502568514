import type * as z from 'zod'
import type { LogLevel } from '#runtime/base/logger'
import type { RunNumber } from '#runtime/contract/ids'
import type {
  CheckpointOptions,
  JobIdentity,
  RestartOptions,
  RestoreOptions,
} from '#runtime/contract/job-options'
import type {
  jobManagerConfig,
  RedisConfig,
  S3Access,
  StorageConfig,
  taskManagerConfig,
} from '#runtime/contract/process-config'

/** What the configurations of all processes of a job are made from. */
export interface JobSettings {
  readonly job: JobIdentity
  readonly run: RunNumber
  readonly module: { readonly path: string; readonly args: Readonly<Record<string, unknown>> }
  readonly storage: StorageConfig
  /** For `s3://` paths in connectors. */
  readonly s3?: S3Access
  /** Absent: the only JobManager leads. */
  readonly redis?: RedisConfig
  readonly taskManagers: number
  /** Of each TaskManager. */
  readonly slots: number
  /** Default: all slots. */
  readonly parallelism?: number
  readonly maxParallelism?: number
  readonly checkpoint: Partial<CheckpointOptions>
  readonly restart: Partial<RestartOptions>
  readonly restore?: RestoreOptions
  readonly allowNonRestoredState?: boolean
  readonly logLevel?: LogLevel
}

/** Contents of configuration files. */
export type JobManagerSettings = z.input<typeof jobManagerConfig>
export type TaskManagerSettings = z.input<typeof taskManagerConfig>

/** Ports that a JobManager listens on; 0: any. */
export interface JobManagerPorts {
  readonly rpc: number
  readonly rest: number
}

/** What differs between the processes of a job. */
interface ProcessPlace {
  /** The process's own name. */
  readonly id: string
  readonly tokenFile: string
}

const LOOPBACK = '127.0.0.1'

const common = (settings: JobSettings, { id, tokenFile }: ProcessPlace) => ({
  job: settings.job,
  run: settings.run,
  id,
  tokenFile,
  storage: settings.storage,
  ...(settings.logLevel === undefined ? {} : { logLevel: settings.logLevel }),
  ...(settings.s3 === undefined ? {} : { s3: settings.s3 }),
})

/** Pure. */
export function jobManagerConfigOf(
  settings: JobSettings,
  place: ProcessPlace & { readonly readyFile: string; readonly ports: JobManagerPorts },
): JobManagerSettings {
  const { module, taskManagers, slots, parallelism, maxParallelism, restore, redis } = settings
  return {
    ...common(settings, place),
    module: { path: module.path, args: module.args },
    ...(parallelism === undefined ? {} : { parallelism }),
    ...(maxParallelism === undefined ? {} : { maxParallelism }),
    expectedSlots: taskManagers * slots,
    checkpoint: settings.checkpoint,
    restart: settings.restart,
    ...(restore === undefined ? {} : { restore }),
    ...(settings.allowNonRestoredState === true ? { allowNonRestoredState: true } : {}),
    ...(redis === undefined ? {} : { redis }),
    rpc: { host: LOOPBACK, port: place.ports.rpc },
    rest: { host: LOOPBACK, port: place.ports.rest },
    readyFile: place.readyFile,
  }
}

/** `jobManagers`: ports for TaskManagers of all JobManagers. Pure. */
export function taskManagerConfigOf(
  settings: JobSettings,
  place: ProcessPlace & { readonly jobManagers: readonly number[] },
): TaskManagerSettings {
  return {
    ...common(settings, place),
    slots: settings.slots,
    jobManagers: place.jobManagers.map((port) => `${LOOPBACK}:${port}`),
    data: { host: LOOPBACK, port: 0, advertise: LOOPBACK },
  }
}
