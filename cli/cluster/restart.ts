import { failed } from '#cli/cli-error'
import type { Output } from '#cli/output'
import type { Target } from '#cli/target'
import { ANNOTATION_RESTARTED_AT } from '#operator/resources/labels'
import { openCluster } from './cluster.ts'
import { isSettled, progressText, stalledText, type StreamJobObject } from './objects.ts'
import { waitForObject } from './wait.ts'

/**
 * Asks the operator by an annotation for another run from the newest checkpoint, and waits until
 * that one is ready or stalled.
 */
export async function restartOnCluster(
  output: Output,
  target: Extract<Target, { kind: 'cluster' }>,
  limitMs: number,
): Promise<void> {
  const cluster = await openCluster(target)
  const { spec } = await cluster.job(target.name)
  const { state = 'Running' } = spec
  if (state !== 'Running')
    throw failed(
      `${target.name} cannot be restarted: its spec.state is ${state}.`,
      'Set spec.state to Running: that begins a run by itself.',
    )
  const at = new Date().toISOString()
  await cluster.patchJob(target.name, { metadata: { annotations: { [ANNOTATION_RESTARTED_AT]: at } } })
  output.progress(`a restart of ${cluster.namespace}/${target.name} is asked for`)
  const job = await waitForObject({
    what: `Restarting ${target.name}`,
    read: () => cluster.job(target.name),
    done: (j) => isRestarted(j, at),
    describe: progressText,
    progress: (line) => output.progress(line),
    limitMs,
  })
  if (!isSettled(job, 'Ready')) throw failed(`${target.name} could not be restarted: ${stalledText(job)}`)
  output.result(job, `${target.name} runs again: run ${job.status?.runId}`)
}

/** The run that the annotation asked for has begun, and has come to something. */
export const isRestarted = (job: StreamJobObject, at: string): boolean =>
  job.status?.run?.restartedAt === at && (isSettled(job, 'Ready') || isSettled(job, 'Stalled'))
