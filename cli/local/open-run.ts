import { CliError, failed } from '#cli/cli-error'
import { EXIT } from '#cli/exit-codes'
import { clockTime } from '#cli/age'
import type { LogState } from '#runtime/commit-log/log-state'
import type { RunNumber } from '#runtime/contract/ids'
import type { RestoreOptions } from '#runtime/contract/job-options'
import { readJobLog } from './job-log.ts'
import { type LocalJob, type LocalModule, LOCAL_DEFAULTS } from './local-job.ts'
import { LockFile } from './lock.ts'
import { type LocalRecord, newUid, StateDir } from './state-dir.ts'
import { writeAtomically } from './write-atomically.ts'

/**
 * The right to run the job of a state directory once: its lock, and a run number above every
 * earlier one.
 */
export interface OpenedRun {
  readonly state: StateDir
  readonly record: LocalRecord
  readonly run: RunNumber
  /** What earlier runs left; undefined on an empty start. */
  readonly log: LogState | undefined
  /** The file of the run before, where it was another one. */
  readonly otherFile: string | undefined
  /** What this run starts from; undefined: from where the last one was. */
  readonly restore: RestoreOptions | undefined
  /** Gives the directory back. Idempotent. */
  close(): void
}

/**
 * @throws {CliError} when another process runs the job, another job lives here, or the job has
 *   finished
 */
export async function openRun(
  stateDir: string,
  job: LocalJob,
  options: { readonly fresh: boolean; readonly now: number },
): Promise<OpenedRun> {
  const state = new StateDir(stateDir)
  state.create()
  const lock = takeLock(state, job.name, options.now)
  try {
    return { ...(await prepareRun(state, job, options)), close: () => lock.release() }
  } catch (error) {
    lock.release()
    throw error
  }
}

function takeLock(state: StateDir, name: string, now: number): LockFile {
  const lock = new LockFile(state.lockFile)
  const holder = lock.take(now)
  if (holder === undefined) return lock
  const who = `process ${holder.pid}, since ${clockTime(holder.since)}`
  throw failed(
    `${name} is already running in ${state.path} (${who}).`,
    `See it with: weir status ${name}. Run another copy with: --name or --state-dir.`,
  )
}

async function prepareRun(
  state: StateDir,
  job: LocalJob,
  { fresh, now }: { readonly fresh: boolean; readonly now: number },
): Promise<Omit<OpenedRun, 'close'>> {
  const previous = state.read()
  const isNew = previous === undefined || fresh
  const record = isNew ? newRecord(job, previous, now) : previous
  refuseOther(state, record, job)
  const log = isNew ? undefined : await readJobLog(state, record)
  const restore = restoreToApply(job, record, log)
  if (restore === undefined) refuseFinished(job.name, log)
  const run = Math.max(record.run, log?.run ?? 0) + 1
  const current: LocalRecord = {
    ...record,
    run,
    rest: undefined,
    failure: undefined,
    restore: restoreRecord(job, record, run),
    job: rememberedJob(job),
  }
  state.token()
  writeModule(state, job.module)
  state.write(current)
  const otherFile = isNew || record.job.file === current.job.file ? undefined : record.job.file
  return { state, record: current, run, log, otherFile, restore }
}

/** What is no file of the user's becomes one, for the JobManager to read. */
function writeModule({ inlineModule }: StateDir, module: LocalModule): void {
  if ('source' in module) writeAtomically(inlineModule, module.source)
  if ('bundle' in module) writeAtomically(module.path, module.bundle)
}

/**
 * A restore block that stays in a manifest acts once: at the first deployment of the runs that it
 * is given to, which may end before they come to it.
 */
function restoreToApply(
  { restore, restoreKey }: LocalJob,
  record: LocalRecord,
  log: LogState | undefined,
): RestoreOptions | undefined {
  if (restoreKey === undefined || restoreKey !== record.restore?.key) return restore
  const hasActed = (log?.deploy?.run ?? 0) >= record.restore.run
  return hasActed ? undefined : restore
}

const restoreRecord = ({ restoreKey: key }: LocalJob, record: LocalRecord, run: RunNumber) =>
  key === undefined || key === record.restore?.key ? record.restore : { key, run }

function refuseOther(state: StateDir, record: LocalRecord, job: LocalJob): void {
  if (record.name === job.name) return
  throw new CliError(
    EXIT.badInput,
    `${state.path} is the state directory of ${record.name}, not of ${job.name}.`,
    { next: 'Choose another by --state-dir, or give the name it has by --name.' },
  )
}

function refuseFinished(name: string, log: LogState | undefined): void {
  if (log?.closed === undefined) return
  const { status, run } = log.closed
  if (status !== 'Finished' && status !== 'Drained') return
  const how = status === 'Finished' ? 'finished' : 'been drained'
  throw failed(
    `${name} has ${how} (run ${run}): there is nothing left to resume.`,
    'Start it again from nothing with --fresh, or from a savepoint with --from SAVEPOINT.',
  )
}

const newRecord = (job: LocalJob, previous: LocalRecord | undefined, now: number): LocalRecord => ({
  version: 1,
  name: job.name,
  namespace: 'default',
  cluster: previous?.cluster ?? `local-${newUid()}`,
  uid: newUid(),
  createdAt: now,
  job: rememberedJob(job),
  run: 0,
})

const rememberedJob = (job: LocalJob): LocalRecord['job'] => ({
  file: job.file,
  args: job.args,
  taskManagers: job.taskManagers,
  slots: job.slots,
  ...(job.parallelism === undefined ? {} : { parallelism: job.parallelism }),
  checkpointIntervalMs: job.checkpoint.intervalMs ?? LOCAL_DEFAULTS.checkpoint.intervalMs,
})
