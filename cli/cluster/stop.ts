import { CliError, failed } from '#cli/cli-error'
import type { StopOptions } from '#cli/commands/stop'
import { EXIT } from '#cli/exit-codes'
import type { Output } from '#cli/output'
import type { Target } from '#cli/target'
import { openCluster } from './cluster.ts'
import { conditionOf, isSettled, type StreamJobObject } from './objects.ts'
import { waitForObject } from './wait.ts'

/**
 * Asks the operator to suspend or drain the job by its spec, and waits until the status says so.
 */
export async function stopOnCluster(
  output: Output,
  target: Extract<Target, { kind: 'cluster' }>,
  options: StopOptions,
): Promise<void> {
  if (typeof options.savepoint === 'string')
    throw new CliError(
      EXIT.badInput,
      'On a cluster a stop writes its savepoint to the job’s own storage; --savepoint takes no directory there.',
    )
  const state = options.drain === true ? 'Drained' : 'Suspended'
  const cluster = await openCluster(target)
  await cluster.patchJob(target.name, {
    spec: { state, ...(options.savepoint === true ? { upgrade: { mode: 'Savepoint' } } : {}) },
  })
  output.progress(`spec.state of ${cluster.namespace}/${target.name} is now ${state}`)
  const job = await waitForObject({
    what: `Stopping ${target.name}`,
    read: () => cluster.job(target.name),
    done: (j) => isSettled(j, 'Stalled') || (isSettled(j, 'Ready') && ENDED.includes(j.status?.phase ?? '')),
    describe: (j) =>
      [j.status?.phase ?? 'Pending', conditionOf(j, 'Ready')?.message]
        .filter((p) => p !== undefined && p !== '')
        .join(': '),
    progress: (line) => output.progress(line),
    limitMs: options.timeout,
  })
  if (!isSettled(job, 'Ready')) throw stalled(job)
  output.result(
    job,
    [
      `${target.name} is ${(job.status?.phase ?? state).toLowerCase()}`,
      ...(job.status?.lastSavepoint?.path === undefined || options.savepoint !== true
        ? []
        : [`savepoint: ${job.status.lastSavepoint.path}`]),
      ...(state === 'Suspended'
        ? [
            `Resume it with: kubectl patch stj ${target.name} -n ${cluster.namespace} --type merge -p '{"spec":{"state":"Running"}}'`,
          ]
        : []),
    ].join('\n'),
  )
}

const ENDED: readonly string[] = ['Suspended', 'Drained', 'Finished']

function stalled(job: StreamJobObject): CliError {
  const why = conditionOf(job, 'Stalled')
  return failed(
    `${job.metadata.name} could not be stopped: ${[why?.reason, why?.message].filter(Boolean).join(', ')}`,
  )
}
