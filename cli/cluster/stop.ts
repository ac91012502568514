import { CliError, failed } from '#cli/cli-error'
import { EXIT } from '#cli/exit-codes'
import type { Output } from '#cli/output'
import type { Target } from '#cli/target'
import { openCluster } from './cluster.ts'
import { isSettled, progressText, stalledText, type StreamJobObject } from './objects.ts'
import { waitForObject } from './wait.ts'

export interface ClusterStopOptions {
  /** true: with a savepoint. A directory has no meaning on a cluster and is refused. */
  readonly savepoint?: boolean | string
  readonly drain?: boolean
  /** Milliseconds that the whole wait may take. */
  readonly timeout: number
}

/**
 * Asks the operator to suspend or drain the job by its spec, and waits until the status says so.
 */
export async function stopOnCluster(
  output: Output,
  target: Extract<Target, { kind: 'cluster' }>,
  options: ClusterStopOptions,
): Promise<void> {
  const { savepoint, drain, timeout } = options
  if (typeof savepoint === 'string')
    throw new CliError(
      EXIT.badInput,
      'On a cluster a stop writes its savepoint to the job’s own storage; ' +
        '--savepoint takes no directory there.',
    )
  const state = drain === true ? 'Drained' : 'Suspended'
  const cluster = await openCluster(target)
  const upgrade = savepoint === true ? { upgrade: { mode: 'Savepoint' } } : {}
  await cluster.patchJob(target.name, { spec: { state, ...upgrade } })
  output.progress(`spec.state of ${cluster.namespace}/${target.name} is now ${state}`)
  const job = await waitForObject({
    what: `Stopping ${target.name}`,
    read: () => cluster.job(target.name),
    done: (j) => isSettled(j, 'Stalled') || (isSettled(j, 'Ready') && hasEnded(j)),
    describe: progressText,
    progress: (line) => output.progress(line),
    limitMs: timeout,
  })
  if (!isSettled(job, 'Ready')) throw failed(`${target.name} could not be stopped: ${stalledText(job)}`)
  output.result(job, stoppedText(job, { state, savepoint, namespace: cluster.namespace }))
}

const hasEnded = ({ status }: StreamJobObject): boolean =>
  status?.phase === 'Suspended' || status?.phase === 'Drained' || status?.phase === 'Finished'

function stoppedText(
  { metadata: { name }, status }: StreamJobObject,
  asked: {
    readonly state: 'Drained' | 'Suspended'
    readonly savepoint: boolean | undefined
    readonly namespace: string
  },
): string {
  const path = asked.savepoint === true ? status?.lastSavepoint?.path : undefined
  const patch = `-n ${asked.namespace} --type merge -p '{"spec":{"state":"Running"}}'`
  return [
    `${name} is ${(status?.phase ?? asked.state).toLowerCase()}`,
    ...(path === undefined ? [] : [`savepoint: ${path}`]),
    ...(asked.state === 'Suspended' ? [`Resume it with: kubectl patch stj ${name} ${patch}`] : []),
  ].join('\n')
}
