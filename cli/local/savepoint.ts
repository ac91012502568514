import { type Clock, sleep, systemClock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import { formatBytes } from '#runtime/base/units'
import type { JobManagerClient } from '#runtime/contract/job-manager-client'
import type { OperationView, SavepointView } from '#runtime/contract/rest'
import type { Output } from '#cli/output'
import { shellWords } from '#cli/shell-words'
import { table } from '#cli/table'
import type { Target } from '#cli/target'
import { readJobLog } from './job-log.ts'
import { openLocal, requireRunning } from './local-target.ts'
import { storageUrl } from './storage-path.ts'

type LocalName = Extract<Target, { kind: 'local' }>

export interface LocalSavepointOptions {
  readonly path?: string
  /** Milliseconds that the whole wait may take. */
  readonly timeout: number
}

export async function savepointLocal(
  output: Output,
  target: LocalName,
  options: LocalSavepointOptions,
  cwd: string,
): Promise<void> {
  const local = openLocal(target)
  const client = requireRunning(local)
  const { triggerId } = await client.triggerSavepoint(
    options.path === undefined ? {} : { path: storageUrl(options.path, cwd) },
  )
  output.progress(`savepoint of ${local.name} started`)
  const done = await operationEnd(client, triggerId, {
    clock: systemClock,
    limitMs: options.timeout,
    what: `The savepoint of ${local.name}`,
  })
  const took = done.completedAt === undefined ? '' : ` in ${done.completedAt - done.startedAt} ms`
  output.result(
    done,
    [
      `savepoint ${done.checkpointId ?? ''} completed: ${formatBytes(done.sizeBytes ?? 0)}${took}`,
      done.path ?? '',
      `Go back to it with: ${shellWords(['weir', 'restore', local.name, done.path ?? ''], cwd)}`,
    ].join('\n'),
  )
}

/**
 * Asks for an operation's state until it has ended.
 * @throws {WeirError} DEADLINE after `limitMs`, or the operation's own error
 */
async function operationEnd(
  client: JobManagerClient,
  triggerId: string,
  options: { readonly clock: Clock; readonly limitMs: number; readonly what: string },
): Promise<OperationView> {
  const { clock, limitMs, what } = options
  const end = clock.monotonic() + limitMs
  for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 1.5, 500)) {
    const operation = await client.savepointOperation(triggerId)
    if (operation.status === 'Completed') return operation
    if (operation.status === 'Failed') {
      const { code = 'CKP_DECLINED', message = `${what} failed.` } = operation.error ?? {}
      throw new WeirError(code, message)
    }
    if (clock.monotonic() > end) {
      const limit = `${Math.round(limitMs / 1000)} s`
      const message = `${what} did not complete within ${limit}; the job continues to take it.`
      throw new WeirError('DEADLINE', message)
    }
    await sleep(clock, pauseMs)
  }
}

export async function savepointsLocal(output: Output, target: LocalName): Promise<void> {
  const local = openLocal(target)
  const log = await readJobLog(local.state, local.record)
  const savepoints: SavepointView[] = (log?.savepoints ?? []).map(({ id, path, sizeBytes, at, end }) => ({
    id,
    path,
    sizeBytes,
    at,
    stop: end !== undefined,
  }))
  const rows = savepoints.map((s) => [
    s.id,
    new Date(s.at).toISOString(),
    formatBytes(s.sizeBytes),
    s.stop ? 'yes' : 'no',
    s.path,
  ])
  output.result(
    savepoints,
    rows.length === 0
      ? `${local.name} has no savepoints. Take one with: weir savepoint ${local.name}`
      : table(['ID', 'TAKEN', 'SIZE', 'STOPPED', 'PATH'], rows),
  )
}
