import { failed } from '#cli/cli-error'
import type { CliContext } from '#cli/context'
import type { Target } from '#cli/target'
import { type Cluster, openCluster } from './cluster.ts'
import { isRestorable, isSettled, progressText, stalledText } from './objects.ts'
import { waitForObject } from './wait.ts'

const LIMIT_MS = 600_000

export interface ClusterRestoreOptions {
  readonly allowNonRestoredState?: boolean
  readonly output?: string
}

/**
 * Sets spec.restore, which acts once per change of the block, and spec.state; waits until the job
 * runs from it.
 */
export async function restoreOnCluster(
  cli: CliContext,
  target: Extract<Target, { kind: 'cluster' }>,
  savepoint: string,
  options: ClusterRestoreOptions,
): Promise<void> {
  const output = cli.output(options)
  const cluster = await openCluster(target)
  await cluster.job(target.name)
  const object = /^(?:svp|savepoints?(?:\.weir\.dev)?)\/(.+)$/.exec(savepoint)?.[1]
  if (object !== undefined) await requireReady(cluster, object)
  const patched = await cluster.patchJob(
    target.name,
    restorePatch(object, savepoint, options.allowNonRestoredState ?? false, new Date().toISOString()),
  )
  const generation = patched.metadata.generation ?? 0
  output.progress(`spec.restore of ${cluster.namespace}/${target.name} set to ${savepoint}`)
  const job = await waitForObject({
    what: `Restoring ${target.name}`,
    read: () => cluster.job(target.name),
    done: (j) =>
      (j.status?.observedGeneration ?? 0) >= generation && (isSettled(j, 'Ready') || isSettled(j, 'Stalled')),
    describe: progressText,
    progress: (line) => output.progress(line),
    limitMs: LIMIT_MS,
  })
  if (!isSettled(job, 'Ready')) throw failed(`${target.name} could not be restored: ${stalledText(job)}`)
  const { phase = '', restoredFrom = savepoint } = job.status ?? {}
  output.result(job, `${target.name} is ${phase.toLowerCase()}, restored from ${restoredFrom}`)
}

async function requireReady(cluster: Cluster, savepoint: string): Promise<void> {
  if (isRestorable(await cluster.savepoint(savepoint))) return
  throw failed(
    `Savepoint ${savepoint} is not usable: its condition Ready is not True.`,
    `See: kubectl describe svp ${savepoint} -n ${cluster.namespace}`,
  )
}

/**
 * A merge patch that makes the job run and replaces the block whole, with a nonce so that the same
 * savepoint can be gone back to again. Pure.
 */
export const restorePatch = (
  savepointName: string | undefined,
  path: string,
  allowNonRestoredState: boolean,
  nonce: string,
): object => ({
  spec: {
    state: 'Running',
    restore: {
      savepointRef: savepointName === undefined ? null : { name: savepointName },
      path: savepointName === undefined ? path : null,
      empty: null,
      allowNonRestoredState,
      nonce,
    },
  },
})
