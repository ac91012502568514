import { systemClock } from '#runtime/base/clock'
import { JobManagerClient } from '#runtime/contract/job-manager-client'
import { CliError, notFound } from '#cli/cli-error'
import { EXIT } from '#cli/exit-codes'
import { shellWords } from '#cli/shell-words'
import type { Target } from '#cli/target'
import { LockFile } from './lock.ts'
import { type LocalRecord, StateDir } from './state-dir.ts'

/** A job of `weir run` as a later command finds it. */
export interface LocalTarget {
  readonly name: string
  readonly state: StateDir
  readonly record: LocalRecord
  /** Of its JobManager; undefined when the job does not run. */
  readonly client: JobManagerClient | undefined
}

/** @throws {CliError} when there is no such job here */
export function openLocal(target: Extract<Target, { kind: 'local' }>): LocalTarget {
  const state = new StateDir(target.stateDir)
  const record = state.read()
  if (record === undefined)
    throw notFound(
      `There is no local job ${target.name}: ${state.recordFile} does not exist.`,
      `For a StreamJob on a cluster type stj/${target.name}; local jobs are listed by: weir list`,
    )
  const url = LockFile.holder(state.lockFile) === undefined ? undefined : record.rest
  return {
    name: record.name,
    state,
    record,
    client:
      url === undefined
        ? undefined
        : new JobManagerClient({ url, token: state.token() }, { clock: systemClock }),
  }
}

/** @throws {CliError} when the job does not run */
export function requireRunning(target: LocalTarget): JobManagerClient {
  if (target.client !== undefined) return target.client
  throw new CliError(EXIT.notFound, `${target.name} is not running.`, {
    next: `Resume it with: ${resumeCommand(target)}`,
  })
}

/** What to type to run the job again where it was. */
export function resumeCommand({ record, state }: Pick<LocalTarget, 'record' | 'state'>): string {
  const args = Object.entries(record.job.args).flatMap(([key, value]) => [
    '--arg',
    `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  ])
  return shellWords(
    ['weir', 'run', record.job.file, ...args, '--name', record.name, '--state-dir', state.path],
    process.cwd(),
  )
}
