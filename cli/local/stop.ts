import { systemClock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import { watchdog } from '#runtime/base/watchdog'
import type { RunNumber } from '#runtime/contract/ids'
import type { JobManagerClient } from '#runtime/contract/job-manager-client'
import { isFinal, type JobFacts, type StopRequest } from '#runtime/contract/rest'
import { failed } from '#cli/cli-error'
import type { Output } from '#cli/output'
import type { Target } from '#cli/target'
import { type ClosingStatus, closingStatus, readJobLog, restorePointText } from './job-log.ts'
import { type LocalTarget, openLocal, requireRunning, resumeCommand } from './local-target.ts'
import { storageUrl } from './storage-path.ts'

export interface LocalStopOptions {
  /** true: a savepoint in its default place; a string: where. */
  readonly savepoint?: boolean | string
  readonly drain?: boolean
  /** Milliseconds that the whole wait may take. */
  readonly timeout: number
}

export async function stopLocal(
  output: Output,
  target: Extract<Target, { kind: 'local' }>,
  options: LocalStopOptions,
  cwd: string,
): Promise<void> {
  const local = openLocal(target)
  const client = requireRunning(local)
  const { run } = await client.overview()
  const request = stopRequest(options, cwd)
  const { triggerId } = await client.triggerStop(request)
  output.progress(`stopping ${local.name} with a ${request.mode}`)
  await untilEnded(client, triggerId, options.timeout)
  const status = stoppedStatus(local, run, await closingStatus(local.state, local.record, run))
  const log = await readJobLog(local.state, local.record)
  const path = request.mode === 'savepoint' ? log?.savepoints.at(-1)?.path : undefined
  output.result(
    { name: local.name, run, status, savepoint: path, checkpoint: log?.lastCheckpoint?.id },
    resultText(local, status, restorePointText(log)),
  )
}

const resultText = (local: LocalTarget, status: StoppedStatus, point: string): string =>
  status === 'Suspended'
    ? `${local.name} is suspended; it continues from ${point}\nResume it with: ${resumeCommand(local)}`
    : `${local.name} is ${status.toLowerCase()}; it ended with ${point}\n` +
      'It will not be resumed; start it anew with --fresh.'

function stopRequest({ savepoint, drain }: LocalStopOptions, cwd: string): StopRequest {
  const common = drain === undefined ? {} : { drain }
  if (savepoint === undefined || savepoint === false) return { ...common, mode: 'checkpoint' }
  const path = typeof savepoint === 'string' ? { path: storageUrl(savepoint, cwd) } : {}
  return { ...common, mode: 'savepoint', ...path }
}

type StoppedStatus = Exclude<ClosingStatus, 'Failed' | 'Canceled'>

/** @throws {CliError} when the run did not end as it should */
function stoppedStatus(local: LocalTarget, run: RunNumber, status: ClosingStatus | undefined): StoppedStatus {
  if (status === undefined || status === 'Failed' || status === 'Canceled')
    throw failed(
      `${local.name} did not stop cleanly: its run ${run} is ${status?.toLowerCase() ?? 'still open'}.`,
      `See the logs in ${local.state.logs}`,
    )
  return status
}

/**
 * Follows the facts until the run has ended or the JobManager is gone; the log has the last word.
 * @throws {WeirError} when the stop failed or took too long
 */
async function untilEnded(client: JobManagerClient, triggerId: string, limitMs: number): Promise<void> {
  const limit = watchdog(systemClock, limitMs, 'not stopped')
  try {
    for await (const facts of client.events(limit.signal)) {
      throwIfRefused(facts, triggerId)
      if (isFinal(facts.state)) return
    }
  } catch (error) {
    if (!(error instanceof WeirError) || error.code !== 'NET_LOST') throw error
  } finally {
    limit.cancel()
  }
  if (!limit.signal.aborted) return
  const seconds = Math.round(limitMs / 1000)
  const message = `The job has not stopped within ${seconds} s; it continues to stop.`
  throw new WeirError('DEADLINE', `${message} Ask again with a longer --timeout.`)
}

function throwIfRefused(facts: JobFacts, triggerId: string): void {
  const operation = facts.operations.find((o) => o.triggerId === triggerId)
  if (operation?.status !== 'Failed') return
  const { code = 'CKP_DECLINED', message = 'no reason given' } = operation.error ?? {}
  throw new WeirError(code, `The job could not be stopped and continues: ${message}`)
}
