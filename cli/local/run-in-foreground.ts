import { resolve } from 'node:path'
import { systemClock } from '#runtime/base/clock'
import { messageOf } from '#runtime/base/errors'
import { formatAge } from '#cli/age'
import { failed } from '#cli/cli-error'
import type { CliContext } from '#cli/context'
import { EXIT } from '#cli/exit-codes'
import { count, plural } from '#cli/progress/facts-text'
import { LiveBlock } from '#cli/progress/live-block'
import { STATE_ROOT } from '#cli/target'
import { readJobLog, restorePointText } from './job-log.ts'
import type { JobOutcome } from './job-outcome.ts'
import { LocalCluster } from './local-cluster.ts'
import type { LocalJob } from './local-job.ts'
import { resumeCommand } from './local-target.ts'
import { checkPlan } from './plan.ts'
import { RunView } from './run-view.ts'

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
  await checkPlan(job)
  const stateDir = resolve(cli.cwd, options.stateDir ?? `${STATE_ROOT}/${job.name}`)
  const startedAt = systemClock.monotonic()
  const cluster = await LocalCluster.start({ job, stateDir, fresh: options.fresh ?? false })
  const output = cli.output(options)
  const view = new RunView(new LiveBlock(cli.stderr), output.format === 'text', job)
  view.begin(cluster)
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

function jobFailed({ name }: LocalJob, outcome: JobOutcome, logs: string): Error {
  const lines = userLines(outcome)
  return failed(`${name} failed: ${outcome.message}${lines === '' ? '' : `\n${lines}`}`, `Logs: ${logs}`)
}

async function resultText(
  { name }: LocalJob,
  { state, facts }: JobOutcome,
  seconds: number,
  { run }: LocalCluster,
): Promise<string> {
  const took = seconds < 100 ? `${seconds.toFixed(1)} s` : formatAge(seconds * 1000)
  const work =
    facts === undefined
      ? took
      : [
          `${count(facts.records.in)} records read`,
          plural(facts.checkpoint.completed, 'checkpoint'),
          plural(facts.restarts, 'restart'),
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
    cluster.client.triggerStop({ mode: 'checkpoint' }).catch((error: unknown) => {
      view.line(`cannot stop with a checkpoint: ${messageOf(error)}`)
      view.line('ending the processes; the latest completed checkpoint stays')
      void cluster.kill()
    })
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
