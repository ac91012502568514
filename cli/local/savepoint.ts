import { systemClock } from '#runtime/base/clock'
import { formatBytes } from '#runtime/base/units'
import type { SavepointView } from '#runtime/contract/rest'
import type { SavepointOptions } from '#cli/commands/savepoint'
import type { Output } from '#cli/output'
import { shellWords } from '#cli/shell-words'
import { table } from '#cli/table'
import type { Target } from '#cli/target'
import { readJobLog } from './job-log.ts'
import { openLocal, requireRunning } from './local-target.ts'
import { operationEnd } from './rest-client.ts'
import { storageUrl } from './storage-path.ts'

type LocalTargetName = Extract<Target, { kind: 'local' }>

export async function savepointLocal(
  output: Output,
  target: LocalTargetName,
  options: SavepointOptions,
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

export async function savepointsLocal(output: Output, target: LocalTargetName): Promise<void> {
  const local = openLocal(target)
  const log = await readJobLog(local.state, local.record)
  const savepoints: SavepointView[] = (log?.savepoints ?? []).map(({ id, path, sizeBytes, at, end }) => ({
    id,
    path,
    sizeBytes,
    at,
    stop: end !== undefined,
  }))
  output.result(
    savepoints,
    savepoints.length === 0
      ? `${local.name} has no savepoints. Take one with: weir savepoint ${local.name}`
      : table(
          ['ID', 'TAKEN', 'SIZE', 'STOPPED', 'PATH'],
          savepoints.map((s) => [
            s.id,
            new Date(s.at).toISOString(),
            formatBytes(s.sizeBytes),
            s.stop ? 'yes' : 'no',
            s.path,
          ]),
        ),
  )
}
