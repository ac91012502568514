import type * as z from 'zod'
import type { LogLevel } from '#runtime/base/logger'
import type { RestoreOptions } from '#runtime/contract/job-options'
import type { jobManagerConfig, taskManagerConfig } from '#runtime/contract/process-config'
import type { LocalJob } from './local-job.ts'
import type { LocalRecord, StateDir } from './state-dir.ts'

export interface RunIdentity {
  readonly state: StateDir
  readonly record: LocalRecord
  readonly run: number
  readonly restore: RestoreOptions | undefined
  readonly logLevel: LogLevel
}

/**
 * Ports of the first start are asked for again, so that TaskManagers find a JobManager that was
 * started again. 0: any.
 */
export interface JobManagerPorts {
  readonly rpc: number
  readonly rest: number
}

const LOOPBACK = '127.0.0.1'
export const JOB_MANAGER = 'job-manager'
export const taskManagerName = (index: number): string => `tm-${index + 1}`

const common = ({ state, record, logLevel }: RunIdentity, job: LocalJob) => ({
  job: { cluster: record.cluster, namespace: record.namespace, name: record.name, uid: record.uid },
  logLevel,
  tokenFile: state.tokenFile,
  storage: { type: 'file' as const, root: state.storageRoot(record) },
  ...(job.s3 === undefined ? {} : { s3: job.s3 }),
})

/** Pure. */
export function jobManagerConfigOf(
  identity: RunIdentity,
  job: LocalJob,
  ports: JobManagerPorts,
): z.input<typeof jobManagerConfig> {
  return {
    ...common(identity, job),
    run: identity.run,
    id: JOB_MANAGER,
    module: { path: 'path' in job.module ? job.module.path : identity.state.inlineModule, args: job.args },
    ...(job.parallelism === undefined ? {} : { parallelism: job.parallelism }),
    ...(job.maxParallelism === undefined ? {} : { maxParallelism: job.maxParallelism }),
    expectedSlots: job.taskManagers * job.slots,
    checkpoint: job.checkpoint,
    restart: job.restart,
    ...(identity.restore === undefined ? {} : { restore: identity.restore }),
    rpc: { host: LOOPBACK, port: ports.rpc },
    rest: { host: LOOPBACK, port: ports.rest },
    readyFile: identity.state.ready(JOB_MANAGER),
  }
}

/** Pure. */
export function taskManagerConfigOf(
  identity: RunIdentity,
  job: LocalJob,
  index: number,
  rpcPort: number,
): z.input<typeof taskManagerConfig> {
  return {
    ...common(identity, job),
    run: identity.run,
    id: taskManagerName(index),
    slots: job.slots,
    jobManagers: [`${LOOPBACK}:${rpcPort}`],
    data: { host: LOOPBACK, port: 0, advertise: LOOPBACK },
  }
}
