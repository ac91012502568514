import type { LogState } from '#runtime/commit-log/log-state'
import { systemClock } from '#runtime/base/clock'
import { messageOf } from '#runtime/base/errors'
import { clockTime, formatAge } from '#cli/age'
import { failed } from '#cli/cli-error'
import type { CliContext } from '#cli/context'
import { EXIT } from '#cli/exit-codes'
import { exitText, type JobOutcome, LocalCluster, type ProcessEvent } from './local-cluster.ts'
import { eventLines, plural } from '#cli/progress/event-lines'
import { LiveBlock } from '#cli/progress/live-block'
import { count, statusBlock } from '#cli/progress/status-block'
import { resolve } from 'node:path'
import { STATE_ROOT } from '#cli/target'
import { readJobLog, restorePointText } from './job-log.ts'
import { checkPlan } from './plan.ts'
import type { LocalJob } from './local-job.ts'
import { resumeCommand } from './local-target.ts'
import { JOB_MANAGER } from './process-configs.ts'

export interface ForegroundOptions {
  readonly stateDir?: string
  readonly fresh?: boolean
  readonly output?: string
}

const REDRAW_MS = 200

/**
 * `weir run`: starts the job, tells what happens until it has ended, and gives the exit code. The
 * first SIGINT or SIGTERM stops it with a checkpoint, the second kills it. @throws {CliError |
 * WeirError} when the job fails or cannot start
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

  const seconds = (systemClock.monotonic() - startedAt) / 1000
  const { record, state } = cluster.run
  const resume = resumeCommand({ record, state })
  if (outcome.state === 'Failed') {
    const stack = userLines(outcome)
    throw failed(
      `${job.name} failed: ${outcome.message}${stack === '' ? '' : `\n${stack}`}`,
      `Logs: ${state.logs}`,
    )
  }
  output.result(
    { name: job.name, run: cluster.run.run, seconds, stateDir, ...outcome },
    resultText(job, outcome, seconds, resume, await readJobLog(state, record)),
  )
  return interruption.wasInterrupted() ? EXIT.interrupted : EXIT.ok
}

function resultText(
  job: LocalJob,
  { state, facts }: JobOutcome,
  seconds: number,
  resume: string,
  log: LogState | undefined,
): string {
  const records =
    facts === undefined
      ? ''
      : ` ${count(facts.records.in)} records read, ${plural(facts.checkpoint.completed, 'checkpoint')}, ${plural(facts.restarts, 'restart')},`
  const took = `${records} ${seconds < 100 ? `${seconds.toFixed(1)} s` : formatAge(seconds * 1000)}`
  if (state === 'Finished' || state === 'Drained') return `${job.name} ${state.toLowerCase()}:${took}`
  return `${job.name} stopped:${took}; it goes on from ${restorePointText(log)}\nResume it with: ${resume}`
}

/** Of a user's exception: the lines of its own code. */
function userLines({ error }: JobOutcome): string {
  if (error?.code !== 'USR_FAILED' || error.stack === undefined) return ''
  return error.stack
    .split('\n')
    .filter(
      (line) =>
        /^\s+at /.test(line) && !/node:internal|\/runtime\/(task|operators|task-manager)\//.test(line),
    )
    .slice(0, 5)
    .join('\n')
}

class RunView {
  readonly #live: LiveBlock
  readonly #isShown: boolean
  readonly #job: LocalJob
  #redraw: NodeJS.Timeout | undefined
  constructor(live: LiveBlock, isShown: boolean, job: LocalJob) {
    this.#live = live
    this.#isShown = isShown
    this.#job = job
  }

  line(text: string): void {
    if (this.#isShown) this.#live.line(`${clockTime(systemClock.now())} ${text}`)
  }

  begin(cluster: LocalCluster): void {
    const { run, log, state, restore } = cluster.run
    const from = restore === undefined ? restorePointText(log) : (restore.path ?? 'the beginning')
    this.line(
      `${this.#job.name} run ${run} starts from ${from}; REST on ${cluster.client.url}; state in ${state.path}`,
    )
    let before = cluster.facts()
    cluster.events.on('facts', (facts) => {
      for (const line of eventLines(before, facts)) this.line(line)
      before = facts
    })
    cluster.events.on('process', (event) => {
      const line = processLine(event)
      if (line !== undefined) this.line(line)
    })
    if (!this.#isShown || !this.#live.isLive) return
    const draw = () =>
      this.#live.show(
        statusBlock(cluster.facts(), systemClock.now(), { taskManagers: this.#job.taskManagers }),
      )
    draw()
    this.#redraw = setInterval(draw, REDRAW_MS)
  }

  end(): void {
    clearInterval(this.#redraw)
    this.#live.close()
  }
}

/** What happened to a process; what the job makes of it is told by its facts. */
export function processLine({ name, kind, exit }: ProcessEvent): string | undefined {
  if (kind !== 'exited' || exit === undefined) return undefined
  const who = name === JOB_MANAGER ? 'JobManager' : `task manager ${name}`
  return `${who} lost (${exitText(exit)}); starting another`
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
      view.line(
        `cannot stop with a checkpoint: ${messageOf(error)}; ending the processes, the latest completed checkpoint stays`,
      )
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
