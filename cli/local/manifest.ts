import { dirname, resolve } from 'node:path'
import { parseManifests } from '#operator/api/manifest'
import type { StreamJobManifest } from '#operator/api/v1alpha1/stream-job'
import { parseDuration } from '#runtime/base/units'
import type { RestoreOptions } from '#runtime/contract/job-options'
import { badInput } from '#cli/cli-error'
import type { LocalJob } from './local-job.ts'

/**
 * The StreamJob of a manifest as a local job: the same fields, durations as numbers. What belongs
 * to pods (image, resources, env, Redis, storage of checkpoints) has no meaning here and is passed
 * over; the S3 settings are kept for `s3://` paths in connectors, with credentials from the
 * environment.
 * @throws {CliError | WeirError} bad input, with every problem of the manifest
 */
export function manifestJob(text: string, file: string, name: string | undefined): LocalJob {
  const { metadata, spec } = chooseJob(
    parseManifests(text, file).filter((m) => m.kind === 'StreamJob'),
    file,
    name,
  )
  const { checkpoint: c, restart: r, storage, restore } = spec
  const s3 = storage?.s3
  return {
    name: metadata.name,
    file,
    module: moduleOf(spec.job, file),
    args: spec.job.args,
    taskManagers: spec.taskManager.replicas,
    slots: spec.taskManager.slots,
    ...(spec.parallelism === undefined ? {} : { parallelism: spec.parallelism }),
    maxParallelism: spec.maxParallelism,
    checkpoint: {
      intervalMs: parseDuration(c.interval),
      timeoutMs: parseDuration(c.timeout),
      minPauseMs: parseDuration(c.minPause),
      tolerableFailures: c.tolerableFailures,
      retain: c.retain,
    },
    restart: {
      strategy: r.strategy,
      delayMs: parseDuration(r.delay),
      maxDelayMs: parseDuration(r.maxDelay),
      windowMs: parseDuration(r.window),
      ...(r.maxAttempts === undefined ? {} : { maxAttempts: r.maxAttempts }),
    },
    ...(s3 === undefined
      ? {}
      : {
          s3: {
            ...(s3.endpoint === undefined ? {} : { endpoint: s3.endpoint }),
            region: s3.region,
            forcePathStyle: s3.forcePathStyle,
          },
        }),
    ...(restore === undefined
      ? {}
      : { restore: restoreOf(restore, file), restoreKey: JSON.stringify(restore) }),
  }
}

function chooseJob(
  jobs: readonly StreamJobManifest[],
  file: string,
  name: string | undefined,
): StreamJobManifest {
  const [first] = jobs
  if (first === undefined) throw badInput(`${file} has no StreamJob.`)
  if (jobs.length === 1) return first
  const found = jobs.find((j) => j.metadata.name === name)
  if (found !== undefined) return found
  throw badInput(
    `${file} has several StreamJobs: ${jobs.map((j) => j.metadata.name).join(', ')}.`,
    'Name one by --name.',
  )
}

function moduleOf(job: StreamJobManifest['spec']['job'], file: string): LocalJob['module'] {
  if (job.inline !== undefined) return { source: job.inline }
  if (job.module !== undefined) return { path: resolve(dirname(file), job.module) }
  throw badInput(
    `${file} takes its module from the ConfigMap ${job.configMapKeyRef?.name ?? ''}, ` +
      'which exists only on a cluster.',
    'Run the source itself: weir run job.ts',
  )
}

function restoreOf(restore: NonNullable<StreamJobManifest['spec']['restore']>, file: string): RestoreOptions {
  const { path, savepointRef, allowNonRestoredState } = restore
  if (savepointRef !== undefined)
    throw badInput(
      `${file} is restored from the Savepoint object ${savepointRef.name}, which exists only on a cluster.`,
      'Give the directory of a savepoint by --from.',
    )
  return { allowNonRestoredState, ...(path === undefined ? {} : { path }) }
}
