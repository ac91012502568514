import { systemClock } from '#runtime/base/clock'
import { messageOf, WeirError } from '#runtime/base/errors'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { JobFacts } from '#runtime/contract/rest'
import { slotsWanted } from '#runtime/job-manager/scheduler'
import { formatAge } from '#cli/age'
import { badInput, CliError, failed } from '#cli/cli-error'
import type { CliContext } from '#cli/context'
import { EXIT } from '#cli/exit-codes'
import { count, eventTimeText, plural, skippedText } from '#cli/progress/facts-text'
import { LiveBlock } from '#cli/progress/live-block'
import { readJobLog, restorePointText } from './job-log.ts'
import type { JobOutcome } from './job-outcome.ts'
import { LocalCluster } from './local-cluster.ts'
import { type LocalJob, moduleWarnings } from './local-job.ts'
import { resumeCommand } from './local-target.ts'
import { isOfRunningJob } from './pin-source.ts'
import { checkPlan, checkRestore } from './plan.ts'
import { RunView } from './run-view.ts'
import { stateDirOf } from './state-dir.ts'

export interface ForegroundOptions {
  readonly stateDir?: string
  readonly fresh?: boolean
  readonly output?: string
}

/**
 * `weir run`: starts the job, shows what happens until it has ended, and gives the exit code. The
 * first SIGINT or SIGTERM stops it with a checkpoint, the second kills it.
 * @throws {CliError | WeirError} when the job fails or cannot start
 */
export async function runInForeground(
  cli: CliContext,
  job: LocalJob,
  options: ForegroundOptions,
): Promise<number> {
  const plan = await checkPlan(job)
  refuseTooFewSlots(job, plan)
  await refuseBadRestore(job, plan)
  const stateDir = stateDirOf(job.name, options.stateDir, cli.cwd)
  const startedAt = systemClock.monotonic()
  const cluster = await LocalCluster.start({ job, stateDir, fresh: options.fresh ?? false })
  const output = cli.output(options)
  const view = new RunView(job, {
    live: new LiveBlock(cli.stderr),
    stdout: cli.stdout,
    isShown: output.format === 'text',
  })
  view.begin(cluster)
  for (const warning of moduleWarnings(job)) view.line(`warning: ${warning}`)
  for (const uid of collectingSinks(plan))
    view.line(`sink "${uid}" is collect(), which is for tests: what it is given is lost with its process`)
  const interruption = onSignals(cluster, view)
  const outcome = await cluster.ended
  interruption.dispose()
  view.end()

  if (outcome.state === 'Failed') throw jobFailed(job, outcome, cluster.run.state.logs)
  const seconds = (systemClock.monotonic() - startedAt) / 1000
  output.result(
    { name: job.name, run: cluster.run.run, seconds, stateDir, ...outcome },
    await resultText(job, outcome, seconds, cluster),
  )
  return interruption.wasInterrupted() ? EXIT.interrupted : EXIT.ok
}

/** The slots of a run are known before it starts: nothing would come of waiting for more. */
function refuseTooFewSlots({ taskManagers, slots }: LocalJob, plan: ExecutionPlan): void {
  const wanted = slotsWanted(plan)
  const have = taskManagers * slots
  if (wanted <= have) return
  const widest = plan.vertices.find(({ parallelism }) => parallelism === wanted)?.id ?? 'a step'
  throw new CliError(
    EXIT.badInput,
    `The job needs ${wanted} slots, for the parallelism of "${widest}", and this run has ${have}: ` +
      `${plural(taskManagers, 'TaskManager')} with ${plural(slots, 'slot')} each.`,
    { next: 'Lower the parallelism, or raise --task-managers or --slots.' },
  )
}

const collectingSinks = (plan: ExecutionPlan): readonly string[] =>
  plan.vertices
    .flatMap(({ operators }) => operators)
    .filter(({ kind, description }) => kind === 'sink' && description === 'write collect')
    .map(({ uid }) => uid)

/** A restore block of a manifest may have acted already; an option always acts. */
async function refuseBadRestore(job: LocalJob, plan: ExecutionPlan): Promise<void> {
  const path = job.restoreKey === undefined ? job.restore?.path : undefined
  if (path === undefined || isOfRunningJob(path)) return
  try {
    await checkRestore(path, job, plan)
  } catch (error) {
    if (error instanceof WeirError && error.code === 'CKP_RESTORE') throw badInput(error.message)
    throw error
  }
}

function jobFailed({ name }: LocalJob, outcome: JobOutcome, logs: string): Error {
  const lines = userLines(outcome)
  return failed(`${name} failed: ${outcome.message}${lines === '' ? '' : `\n${lines}`}`, `Logs: ${logs}`)
}

async function resultText(
  { name }: LocalJob,
  { state }: JobOutcome,
  seconds: number,
  cluster: LocalCluster,
): Promise<string> {
  const { run, totals } = cluster
  const took = seconds < 100 ? `${seconds.toFixed(1)} s` : formatAge(seconds * 1000)
  const newest = cluster.facts()
  const skipped = newest === undefined ? undefined : skippedText(newest.skipped)
  const eventTime = newest === undefined ? undefined : eventTimeText(newest, systemClock.now())
  const perSecond = Math.round(totals.recordsIn / Math.max(seconds, 1))
  const work = [
    `${count(totals.recordsIn)} records read (${count(perSecond)}/s)`,
    `${count(totals.recordsOut)} written`,
    ...(eventTime === undefined ? [] : [`event time ${eventTime}`]),
    plural(totals.checkpoints, 'checkpoint'),
    plural(totals.restarts, 'restart'),
    ...(skipped === undefined ? [] : [`skipped ${skipped}`]),
    took,
  ].join(', ')
  if (state === 'Finished' || state === 'Drained') return `${name} ${state.toLowerCase()}: ${work}`
  const point = restorePointText(await readJobLog(run.state, run.record))
  return `${name} stopped: ${work}; it continues from ${point}\nResume it with: ${resumeCommand(run)}`
}

const NOT_THE_USERS = ['node:internal', new URL('../../runtime/', import.meta.url).href]

/** Of a user's exception: the lines of its own code. */
function userLines({ error }: JobOutcome): string {
  if (error?.code !== 'USR_FAILED' || error.stack === undefined) return ''
  return error.stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line) && !NOT_THE_USERS.some((place) => line.includes(place)))
    .slice(0, 5)
    .join('\n')
}

function onSignals(cluster: LocalCluster, view: RunView): { dispose(): void; wasInterrupted(): boolean } {
  let signals = 0
  const onSignal = () => {
    signals++
    if (signals > 1) {
      void cluster.kill()
      return
    }
    view.line('stopping with a checkpoint; Ctrl-C again ends it at once')
    cluster.client.triggerStop({ mode: 'checkpoint' }).then(
      ({ triggerId }) => tellIfFailed(cluster, view, triggerId),
      (error: unknown) => {
        view.line(`cannot stop with a checkpoint: ${messageOf(error)}`)
        view.line('ending the processes; the latest completed checkpoint stays')
        void cluster.kill()
      },
    )
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    dispose() {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
    wasInterrupted: () => signals > 0,
  }
}

/** The line of the failure itself is an event's; here it says what is left to do. */
function tellIfFailed(cluster: LocalCluster, view: RunView, triggerId: string): void {
  const onFacts = ({ operations, checkpoint: { last } }: JobFacts): void => {
    const stop = operations.find((operation) => operation.triggerId === triggerId)
    if (stop === undefined || stop.status === 'InProgress') return
    cluster.events.off('facts', onFacts)
    if (stop.status === 'Completed') return
    const point = last === undefined ? 'the beginning' : `checkpoint ${last.id}`
    view.line(`Ctrl-C again ends its processes at once; it then resumes from ${point}`)
  }
  cluster.events.on('facts', onFacts)
}
