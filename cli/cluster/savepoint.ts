import { formatBytes } from '#runtime/base/units'
import { failed } from '#cli/cli-error'
import type { SavepointOptions } from '#cli/commands/savepoint'
import type { Output } from '#cli/output'
import { table } from '#cli/table'
import type { Target } from '#cli/target'
import { openCluster } from './cluster.ts'
import { conditionOf, isSettled, type SavepointObject } from './objects.ts'
import { ageOf } from './status.ts'
import { waitForObject } from './wait.ts'

type ClusterTarget = Extract<Target, { kind: 'cluster' }>

/**
 * Makes a Savepoint object and waits for the operator to complete it. @throws {CliError} when it
 * fails
 */
export async function savepointOnCluster(
  output: Output,
  target: ClusterTarget,
  options: SavepointOptions,
): Promise<void> {
  const cluster = await openCluster(target)
  await cluster.job(target.name)
  const name = options.name ?? `${target.name.slice(0, 45)}-${timeSuffix(new Date())}`
  await cluster.createSavepoint(name, {
    streamJobRef: { name: target.name },
    ...(options.path === undefined ? {} : { path: options.path }),
  })
  output.progress(`savepoint ${cluster.namespace}/${name} created`)
  const savepoint = await waitForObject({
    what: `Savepoint ${name}`,
    read: () => cluster.savepoint(name),
    done: (s) => isSettled(s, 'Ready') || isSettled(s, 'Stalled'),
    describe: describeSavepoint,
    progress: (line) => output.progress(line),
    limitMs: options.timeout,
  })
  if (!isSettled(savepoint, 'Ready')) {
    const why = conditionOf(savepoint, 'Stalled')
    throw failed(
      `Savepoint ${name} failed: ${[why?.reason, why?.message].filter(Boolean).join(', ')}`,
      `See: kubectl describe svp ${name} -n ${cluster.namespace}`,
    )
  }
  output.result(
    savepoint,
    `savepoint ${name} completed: ${formatBytes(savepoint.status?.sizeBytes ?? 0)}\n${savepoint.status?.path ?? ''}\nGo back to it with: kubectl weir restore ${target.name} svp/${name} -n ${cluster.namespace}`,
  )
}

function describeSavepoint(savepoint: SavepointObject): string {
  const ready = conditionOf(savepoint, 'Ready')
  return [savepoint.status?.phase ?? 'Pending', ready?.status === 'True' ? undefined : ready?.message]
    .filter((p) => p !== undefined && p !== '')
    .join(': ')
}

/** `20260102-030405`, UTC: sorts by time. */
const timeSuffix = (at: Date): string =>
  at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')

export async function savepointsOnCluster(output: Output, target: ClusterTarget): Promise<void> {
  const cluster = await openCluster(target)
  const all = (await cluster.savepoints())
    .filter((s) => s.spec.streamJobRef?.name === target.name)
    .toSorted((a, b) =>
      (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? ''),
    )
  const now = Date.now()
  output.result(
    all,
    all.length === 0
      ? `${cluster.namespace}/${target.name} has no Savepoint objects. Take one with: kubectl weir savepoint ${target.name} -n ${cluster.namespace}`
      : table(
          ['NAME', 'READY', 'PATH', 'SIZE', 'COMPLETED', 'AGE'],
          all.map((s) => [
            s.metadata.name,
            conditionOf(s, 'Ready')?.status ?? 'Unknown',
            s.status?.path,
            s.status?.sizeBytes === undefined ? undefined : formatBytes(s.status.sizeBytes),
            s.status?.completedAt,
            ageOf(s.metadata.creationTimestamp, now),
          ]),
        ),
  )
}
