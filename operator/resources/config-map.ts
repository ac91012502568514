import { parseDuration } from '#runtime/base/units'
import {
  jobManagerConfig,
  taskManagerConfig,
  type JobManagerConfig,
  type RedisConfig,
  type StorageConfig,
  type TaskManagerConfig,
} from '#runtime/contract/process-config'
import { JOB_MANAGER_KEYS, TASK_MANAGER_KEYS, writtenFor } from '#runtime/contract/process-config-keys'
import { LABEL_RUN } from './labels.ts'
import { configKeys, mounts, names, ports, storageRoot, TOKEN_KEY } from './names.ts'
import type { KubeObject } from './object.ts'
import { type CaSource, caOf } from './resolved.ts'
import { ownedMeta, type RunContext } from './run-context.ts'
import { parallelismOf } from './scale.ts'

/**
 * The ConfigMap of one run, or of the check of one. It is made once and never changes, so that a
 * pod that is replaced later finds what its run was made from. `$(POD_NAME)` and `$(POD_IP)` are
 * put in by the process from its environment.
 */
export function runConfigMap(context: RunContext): KubeObject {
  const storageCa = caOf(context.resolved.storage)
  const redisCa = caOf(context.resolved.redis)
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: ownedMeta(context.job, context.config, { [LABEL_RUN]: String(context.run) }),
    immutable: true,
    data: {
      [configKeys.jobManager]: toText(
        writtenFor(jobManagerProcess(context), jobManagerConfig, JOB_MANAGER_KEYS),
      ),
      [configKeys.taskManager]: toText(
        writtenFor(taskManagerProcess(context), taskManagerConfig, TASK_MANAGER_KEYS),
      ),
      ...(context.module.kind === 'source' ? { [configKeys.module]: context.module.source } : {}),
      ...(storageCa?.kind === 'pem' ? { [configKeys.storageCa]: storageCa.pem } : {}),
      ...(redisCa?.kind === 'pem' ? { [configKeys.redisCa]: redisCa.pem } : {}),
    },
  }
}

const toText = (config: object): string => `${JSON.stringify(config, null, 2)}\n`

function jobManagerProcess(context: RunContext): JobManagerConfig {
  const { spec } = context
  const redis = redisConfig(context)
  const parallelism = parallelismOf(spec)
  return jobManagerConfig.parse({
    ...common(context),
    id: '$(POD_NAME)',
    module: {
      path: context.module.kind === 'path' ? context.module.path : `${mounts.config}/${configKeys.module}`,
      args: spec.job.args,
    },
    ...(parallelism === undefined ? {} : { parallelism }),
    maxParallelism: spec.maxParallelism,
    expectedSlots: spec.taskManager.replicas * spec.taskManager.slots,
    checkpoint: {
      intervalMs: parseDuration(spec.checkpoint.interval),
      timeoutMs: parseDuration(spec.checkpoint.timeout),
      minPauseMs: parseDuration(spec.checkpoint.minPause),
      tolerableFailures: spec.checkpoint.tolerableFailures,
      retain: spec.checkpoint.retain,
    },
    restart: {
      strategy: spec.restart.strategy,
      delayMs: parseDuration(spec.restart.delay),
      maxDelayMs: parseDuration(spec.restart.maxDelay),
      windowMs: parseDuration(spec.restart.window),
      ...(spec.restart.maxAttempts === undefined ? {} : { maxAttempts: spec.restart.maxAttempts }),
    },
    ...(context.restore === undefined ? {} : { restore: context.restore }),
    ...(redis === undefined ? {} : { redis }),
    rpc: { host: '0.0.0.0', port: ports.rpc },
    rest: { host: '0.0.0.0', port: ports.rest },
  })
}

function taskManagerProcess(context: RunContext): TaskManagerConfig {
  const { job, spec } = context
  return taskManagerConfig.parse({
    ...common(context),
    id: '$(POD_NAME)',
    slots: spec.taskManager.slots,
    jobManagers: [`${names.jobManager(job.name)}.${job.namespace}.svc:${ports.rpc}`],
    data: { host: '0.0.0.0', port: ports.data, advertise: '$(POD_IP)' },
  })
}

function common(context: RunContext) {
  return {
    job: { cluster: context.cluster, ...context.job },
    run: context.run,
    logLevel: context.spec.logLevel,
    tokenFile: `${mounts.token}/${TOKEN_KEY}`,
    storage: storageConfig(context),
  }
}

function storageConfig({ job, resolved: { storage } }: RunContext): StorageConfig {
  const caFile = caPath(caOf(storage), mounts.s3Ca, configKeys.storageCa)
  return {
    type: 's3',
    bucket: storage.bucket,
    root: storageRoot(storage.prefix, job.namespace, job.name, job.uid),
    access: {
      ...(storage.endpoint === undefined ? {} : { endpoint: storage.endpoint }),
      region: storage.region,
      forcePathStyle: storage.forcePathStyle,
      ...(storage.credentialsSecret === undefined ? {} : { credentialsDir: mounts.s3 }),
      ...(caFile === undefined ? {} : { caFile }),
    },
  }
}

function redisConfig({ resolved: { redis } }: RunContext): Omit<RedisConfig, 'ttlMs'> | undefined {
  if (redis === undefined) return undefined
  const caFile = caPath(caOf(redis), mounts.redisCa, configKeys.redisCa)
  return {
    url: redis.url,
    keyPrefix: redis.keyPrefix,
    ...(redis.credentialsSecret === undefined ? {} : { credentialsDir: mounts.redis }),
    ...(caFile === undefined ? {} : { caFile }),
  }
}

function caPath(ca: CaSource | undefined, mount: string, key: string): string | undefined {
  if (ca === undefined) return undefined
  return ca.kind === 'pem' ? `${mounts.config}/${key}` : `${mount}/ca.crt`
}
