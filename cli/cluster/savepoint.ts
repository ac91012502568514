import { formatBytes } from '#runtime/base/units'
import { failed } from '#cli/cli-error'
import type { Output } from '#cli/output'
import { table } from '#cli/table'
import type { Target } from '#cli/target'
import { openCluster } from './cluster.ts'
import {
  conditionOf,
  isSavepointOf,
  isSettled,
  progressText,
  type SavepointObject,
  stalledText,
} from './objects.ts'
import { ageOf } from './status.ts'
import { waitForObject } from './wait.ts'

type ClusterTarget = Extract<Target, { kind: 'cluster' }>

export interface ClusterSavepointOptions {
  /** URL to write to; default: below the job's storage. */
  readonly path?: string
  /** Of the Savepoint object. */
  readonly name?: string
  /** Milliseconds that the whole wait may take. */
  readonly timeout: number
}

/**
 * Makes a Savepoint object and waits for the operator to complete it.
 * @throws {CliError} when it fails
 */
export async function savepointOnCluster(
  output: Output,
  target: ClusterTarget,
  options: ClusterSavepointOptions,
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
    describe: progressText,
    progress: (line) => output.progress(line),
    limitMs: options.timeout,
  })
  if (!isSettled(savepoint, 'Ready'))
    throw failed(
      `Savepoint ${name} failed: ${stalledText(savepoint)}`,
      `See: kubectl describe svp ${name} -n ${cluster.namespace}`,
    )
  const { sizeBytes = 0, path = '' } = savepoint.status ?? {}
  const back = `kubectl weir restore ${target.name} svp/${name} -n ${cluster.namespace}`
  output.result(
    savepoint,
    `savepoint ${name} completed: ${formatBytes(sizeBytes)}\n${path}\nGo back to it with: ${back}`,
  )
}

/** `20260102-030405`, UTC: sorts by time. */
const timeSuffix = (at: Date): string =>
  at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')

export async function savepointsOnCluster(output: Output, target: ClusterTarget): Promise<void> {
  const cluster = await openCluster(target)
  const all = (await cluster.savepoints())
    .filter((s) => isSavepointOf(s, target.name))
    .toSorted((a, b) => createdAt(a).localeCompare(createdAt(b)))
  const now = Date.now()
  const rows = all.map((s) => [
    s.metadata.name,
    conditionOf(s, 'Ready')?.status ?? 'Unknown',
    s.status?.path,
    s.status?.sizeBytes === undefined ? undefined : formatBytes(s.status.sizeBytes),
    s.status?.completedAt,
    ageOf(s.metadata.creationTimestamp, now),
  ])
  const { namespace } = cluster
  output.result(
    all,
    rows.length === 0
      ? `${namespace}/${target.name} has no Savepoint objects. ` +
          `Take one with: kubectl weir savepoint ${target.name} -n ${namespace}`
      : table(['NAME', 'READY', 'PATH', 'SIZE', 'COMPLETED', 'AGE'], rows),
  )
}

const createdAt = ({ metadata }: SavepointObject): string => metadata.creationTimestamp ?? ''
