import { type Clock, systemClock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { JobFacts } from '#runtime/contract/rest'
import { failed } from '#cli/cli-error'
import type { StopOptions } from '#cli/commands/stop'
import type { Output } from '#cli/output'
import { hasEnded } from '#cli/progress/event-lines'
import type { Target } from '#cli/target'
import { closingStatus, readJobLog, restorePointText } from './job-log.ts'
import { type LocalTarget, openLocal, requireRunning, resumeCommand } from './local-target.ts'
import type { RestClient } from './rest-client.ts'
import { storageUrl } from './storage-path.ts'

export async function stopLocal(
  output: Output,
  target: Extract<Target, { kind: 'local' }>,
  options: StopOptions,
  cwd: string,
): Promise<void> {
  const local = openLocal(target)
  const client = requireRunning(local)
  const { run } = await client.overview()
  const savepoint = options.savepoint !== undefined && options.savepoint !== false
  const { triggerId } = await client.triggerStop({
    mode: savepoint ? 'savepoint' : 'checkpoint',
    ...(typeof options.savepoint === 'string' ? { path: storageUrl(options.savepoint, cwd) } : {}),
    ...(options.drain === undefined ? {} : { drain: options.drain }),
  })
  output.progress(`stopping ${local.name} with a ${savepoint ? 'savepoint' : 'checkpoint'}`)
  await untilEnded(client, triggerId, systemClock, options.timeout)
  const status = await closingStatus(local.state, local.record, run)
  if (status === undefined || status === 'Failed' || status === 'Canceled')
    throw failed(
      `${local.name} did not stop cleanly: its run ${run} is ${status?.toLowerCase() ?? 'still open'}.`,
      `See the logs in ${local.state.logs}`,
    )
  const log = await readJobLog(local.state, local.record)
  const path = savepoint ? log?.savepoints.at(-1)?.path : undefined
  output.result(
    { name: local.name, run, status, savepoint: path, checkpoint: log?.lastCheckpoint?.id },
    `${local.name} is ${status.toLowerCase()}; it ${status === 'Drained' ? 'ended with' : 'goes on from'} ${restorePointText(log)}\n${nextStep(local, status)}`,
  )
}

const nextStep = (local: LocalTarget, status: string): string =>
  status === 'Suspended'
    ? `Resume it with: ${resumeCommand(local)}`
    : 'It will not be resumed; start it anew with --fresh.'

/**
 * Follows the facts until the run has ended or the JobManager is gone; the log has the last word.
 * @throws {WeirError} when the stop failed or took too long
 */
async function untilEnded(
  client: RestClient,
  triggerId: string,
  clock: Clock,
  limitMs: number,
): Promise<void> {
  const limit = new AbortController()
  const timer = clock.after(limitMs, () => limit.abort())
  try {
    for await (const facts of client.events(limit.signal)) {
      throwIfRefused(facts, triggerId)
      if (hasEnded(facts)) return
    }
  } catch (error) {
    if (!(error instanceof WeirError) || error.code !== 'NET_LOST') throw error
  } finally {
    timer.cancel()
  }
  if (limit.signal.aborted)
    throw new WeirError(
      'DEADLINE',
      `The job has not stopped within ${Math.round(limitMs / 1000)} s; the stop goes on. Ask again with a longer --timeout.`,
    )
}

function throwIfRefused(facts: JobFacts, triggerId: string): void {
  const operation = facts.operations.find((o) => o.triggerId === triggerId)
  if (operation?.status === 'Failed')
    throw new WeirError(
      operation.error?.code ?? 'CKP_DECLINED',
      `The job goes on, it could not be stopped: ${operation.error?.message ?? 'no reason given'}`,
    )
}
