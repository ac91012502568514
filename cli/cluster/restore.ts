import { failed } from '#cli/cli-error'
import type { RestoreCommandOptions } from '#cli/commands/restore'
import type { CliContext } from '#cli/context'
import type { Target } from '#cli/target'
import { openCluster } from './cluster.ts'
import { conditionOf, isSettled, type StreamJobObject } from './objects.ts'
import { waitForObject } from './wait.ts'

const LIMIT_MS = 600_000

/**
 * Sets spec.restore, which acts once per change of the block, and spec.state; waits until the job
 * runs from it.
 */
export async function restoreOnCluster(
  cli: CliContext,
  target: Extract<Target, { kind: 'cluster' }>,
  savepoint: string,
  options: RestoreCommandOptions,
): Promise<void> {
  const output = cli.output(options)
  const cluster = await openCluster(target)
  await cluster.job(target.name)
  const object = /^(?:svp|savepoints?(?:\.weir\.dev)?)\/(.+)$/.exec(savepoint)?.[1]
  if (object !== undefined) {
    const found = await cluster.savepoint(object)
    if (conditionOf(found, 'Ready')?.status !== 'True')
      throw failed(
        `Savepoint ${object} is not usable: its condition Ready is not True.`,
        `See: kubectl describe svp ${object} -n ${cluster.namespace}`,
      )
  }
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
    describe: (j) =>
      [j.status?.phase ?? 'Pending', conditionOf(j, 'Ready')?.message]
        .filter((p) => p !== undefined && p !== '')
        .join(': '),
    progress: (line) => output.progress(line),
    limitMs: LIMIT_MS,
  })
  if (!isSettled(job, 'Ready')) throw stalled(job)
  output.result(
    job,
    `${target.name} is ${(job.status?.phase ?? '').toLowerCase()}, restored from ${job.status?.restoredFrom ?? savepoint}`,
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
      streamJobRef: null,
      empty: null,
      allowNonRestoredState,
      nonce,
    },
  },
})

function stalled(job: StreamJobObject): Error {
  const why = conditionOf(job, 'Stalled')
  return failed(
    `${job.metadata.name} could not be restored: ${[why?.reason, why?.message].filter(Boolean).join(', ')}`,
  )
}
