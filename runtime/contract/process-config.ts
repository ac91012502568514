import * as z from 'zod'
import { checkpointOptions, jobIdentity, restartOptions, restoreOptions } from './job-options.ts'

/**
 * The configuration of a JobManager or TaskManager process: one JSON file, its path in WEIR_CONFIG.
 * Secrets are not in it: it names files or directories that hold them, read again when they change.
 * Unknown keys are refused, all problems are printed at once, exit code 2; a new key is entered in
 * process-config-keys.ts.
 */
const s3Access = z.strictObject({
  endpoint: z.string().optional().describe('URL of an S3-compatible server; absent: AWS.'),
  region: z.string().default('us-east-1'),
  forcePathStyle: z.boolean().default(false),
  /**
   * Directory with files AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and optionally AWS_SESSION_TOKEN;
   * absent: the SDK's own chain (environment, pod identity).
   */
  credentialsDir: z.string().optional(),
  caFile: z.string().optional(),
})
export type S3Access = z.infer<typeof s3Access>

export const storageConfig = z.discriminatedUnion('type', [
  /** `root` is the job's root directory (already ends in namespace/name/uid). */
  z.strictObject({ type: z.literal('file'), root: z.string() }),
  z.strictObject({ type: z.literal('s3'), bucket: z.string().min(1), root: z.string(), access: s3Access }),
])
export type StorageConfig = z.infer<typeof storageConfig>

export const redisConfig = z.strictObject({
  url: z.string().describe('redis:// or rediss:// without credentials.'),
  /** Directory with files `username` (optional) and `password`. */
  credentialsDir: z.string().optional(),
  caFile: z.string().optional(),
  keyPrefix: z.string().default('weir'),
  ttlMs: z.int().min(200).default(2000),
})
export type RedisConfig = z.infer<typeof redisConfig>

const common = {
  job: jobIdentity,
  logLevel: z.enum(['Trace', 'Debug', 'Info', 'Warn', 'Error']).default('Info'),
  /** File with the per-job secret that authenticates RPC, data and REST connections. */
  tokenFile: z.string(),
  storage: storageConfig,
  /** Settings for `s3://` paths in connectors; default: the storage's access when that is S3. */
  s3: s3Access.optional(),
}

export const jobManagerConfig = z.strictObject({
  ...common,
  /** Grows with every deployment of a spec; given by the operator, or counted by `weir run`. */
  run: z.int().positive(),
  /** Name of this candidate, for people: the pod's name. */
  id: z.string().min(1),
  module: z.strictObject({
    /**
     * Path of a module file in this container (an inline module is a file too). TypeScript is
     * stripped here.
     */
    path: z.string(),
    args: z.record(z.string(), z.unknown()).default({}),
  }),
  parallelism: z.int().positive().optional().describe('Default: all slots.'),
  maxParallelism: z.int().min(1).max(32_768).default(128),
  /** Slots the job waits for when `parallelism` is absent: TaskManagers x slots. */
  expectedSlots: z.int().positive(),
  checkpoint: checkpointOptions.prefault({}),
  restart: restartOptions.prefault({}),
  restore: restoreOptions.optional(),
  /** State that no operator takes over is dropped, whatever the run starts from. */
  allowNonRestoredState: z.boolean().optional(),
  redis: redisConfig.optional().describe('Absent: this is the only candidate (local mode).'),
  rpc: z
    .strictObject({ host: z.string().default('0.0.0.0'), port: z.int().min(0).default(6123) })
    .prefault({}),
  rest: z
    .strictObject({ host: z.string().default('0.0.0.0'), port: z.int().min(0).default(8081) })
    .prefault({}),
  /**
   * Written once both servers listen: {"rpc": port, "rest": port}; for launchers that asked for
   * port 0.
   */
  readyFile: z.string().optional(),
})
export type JobManagerConfig = z.infer<typeof jobManagerConfig>

export const taskManagerConfig = z.strictObject({
  ...common,
  run: z.int().positive(),
  id: z.string().min(1),
  slots: z.int().positive().default(1),
  /**
   * Addresses `host:port` of JobManagers; a host name that resolves to several addresses (headless
   * Service) means all of them, resolved again every second.
   */
  jobManagers: z.array(z.string()).min(1),
  data: z.strictObject({
    host: z.string().default('0.0.0.0'),
    port: z.int().min(0).default(6124),
    /** Address that other TaskManagers dial: the pod's IP. */
    advertise: z.string(),
  }),
  orphanTimeoutMs: z.int().min(100).default(60_000),
})
export type TaskManagerConfig = z.infer<typeof taskManagerConfig>
