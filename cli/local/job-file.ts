import { readFile, stat } from 'node:fs/promises'
import { basename, extname, resolve } from 'node:path'
import { systemCode } from '#runtime/base/errors'
import { hasLocalImports } from '#cli/build/local-imports'
import { badInput } from '#cli/cli-error'
import { parseJobArguments } from '#cli/job-arguments'
import { checkJobName } from '#cli/target'
import { LOCAL_DEFAULTS, type LocalJob } from './local-job.ts'
import { StateDir, stateDirOf } from './state-dir.ts'
import { environmentS3, storageUrl } from './storage-path.ts'

/** What a user may say about a job besides its file. */
export interface JobFileOptions {
  /** `key=value` pairs. */
  readonly arg?: readonly string[]
  readonly taskManagers?: number
  readonly slots?: number
  readonly parallelism?: number
  /** Milliseconds. */
  readonly checkpointInterval?: number
  readonly name?: string
  /** Savepoint or checkpoint to start from: its directory or URL. */
  readonly from?: string
  readonly allowNonRestoredState?: boolean
  /** Where the job keeps its state; default: below .weir. */
  readonly stateDir?: string
}

export const MODULES: readonly string[] = ['.ts', '.mts', '.js', '.mjs']
const MANIFESTS: readonly string[] = ['.yaml', '.yml', '.json']

/**
 * The job that a file and the options of `weir run` describe: options win over the manifest, the
 * manifest over the defaults.
 * @throws {CliError | WeirError} bad input
 */
export async function readLocalJob(file: string, options: JobFileOptions, cwd: string): Promise<LocalJob> {
  const path = resolve(cwd, file)
  const extension = extname(path).toLowerCase()
  await checkFile(file, path)
  if (isModule(path))
    return await bundled(withOptions(moduleJob(path, options.name), options, cwd), options, cwd)
  if (!MANIFESTS.includes(extension))
    throw badInput(
      `Cannot tell what ${file} is. ` +
        `Expected a job module (${MODULES.join(', ')}) or a manifest (${MANIFESTS.join(', ')}).`,
    )
  const { manifestJob } = await import('./manifest.ts')
  const job = manifestJob(await readFile(path, 'utf8'), path, options.name)
  return await bundled(withOptions(job, options, cwd), options, cwd)
}

/** A job that imports files of its own is one module from here on, as its slots need it. */
async function bundled(job: LocalJob, { stateDir }: JobFileOptions, cwd: string): Promise<LocalJob> {
  if (!('path' in job.module)) return job
  const { path: entry } = job.module
  // A file that cannot be read is named when the job is planned.
  const source = await readFile(entry, 'utf8').catch(() => '')
  if (!hasLocalImports(source, entry)) return job
  const { bundleJob } = await import('#cli/build/bundle')
  const path = new StateDir(stateDirOf(job.name, stateDir, cwd)).bundle
  const { text, warnings } = await bundleJob(entry, { outFile: path })
  return { ...job, module: { path, bundle: text, warnings } }
}

export const isModule = (path: string): boolean => MODULES.includes(extname(path).toLowerCase())

/** @throws {CliError} when there is no such file */
export async function checkFile(file: string, path: string): Promise<void> {
  try {
    if ((await stat(path)).isFile()) return
  } catch (error) {
    throw badInput(
      systemCode(error) === 'ENOENT'
        ? `There is no file ${file}.`
        : `Cannot read ${file}: ${systemCode(error) ?? String(error)}.`,
      'Expected a job module (such as job.ts) or a StreamJob manifest (such as job.yaml).',
    )
  }
  throw badInput(
    `${file} is not a file.`,
    'Expected a job module (such as job.ts) or a StreamJob manifest (such as job.yaml).',
  )
}

const moduleJob = (path: string, name: string | undefined): LocalJob => ({
  name: name ?? nameOf(path),
  file: path,
  module: { path },
  s3: environmentS3(),
  args: {},
  taskManagers: LOCAL_DEFAULTS.taskManagers,
  slots: LOCAL_DEFAULTS.slots,
  checkpoint: LOCAL_DEFAULTS.checkpoint,
  restart: LOCAL_DEFAULTS.restart,
})

/** `My_Job.v2.ts` -> `my-job-v2`, `2024.ts` -> `job-2024`. */
export function nameOf(path: string): string {
  const words = basename(path, extname(path))
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
  return `${/^-?[a-z]/.test(words) ? '' : 'job-'}${words}`.replace(/^-+/, '').slice(0, 45).replace(/-+$/, '')
}

function withOptions(job: LocalJob, options: JobFileOptions, cwd: string): LocalJob {
  const { parallelism, checkpointInterval, from } = options
  const overridden: LocalJob = {
    ...job,
    name: checkJobName(options.name ?? job.name),
    args: parseJobArguments(options.arg ?? [], job.args),
    taskManagers: options.taskManagers ?? job.taskManagers,
    slots: options.slots ?? job.slots,
    ...(parallelism === undefined ? {} : { parallelism }),
    ...(options.allowNonRestoredState === true ? { allowNonRestoredState: true } : {}),
    checkpoint:
      checkpointInterval === undefined
        ? job.checkpoint
        : { ...job.checkpoint, intervalMs: checkpointInterval },
  }
  if (from === undefined) return overridden
  const { restoreKey: _, ...rest } = overridden
  return {
    ...rest,
    restore: { path: storageUrl(from, cwd), allowNonRestoredState: options.allowNonRestoredState ?? false },
  }
}
