import { systemClock } from '#runtime/base/clock'
import { clockTime } from '#cli/age'
import { eventLines } from '#cli/progress/event-lines'
import type { LiveBlock } from '#cli/progress/live-block'
import { progressLine } from '#cli/progress/progress-line'
import { statusBlock } from '#cli/progress/status-block'
import { restorePointText } from './job-log.ts'
import type { LocalCluster } from './local-cluster.ts'
import type { LocalJob } from './local-job.ts'
import { exitText, type ProcessExit } from './supervised-process.ts'

const REDRAW_MS = 200
const LINE_MS = 10_000

export interface RunViewOptions {
  readonly live: LiveBlock
  readonly stdout: NodeJS.WritableStream
  /** False: results are wanted as JSON, and nothing else is written. */
  readonly isShown: boolean
}

/** What `weir run` shows while the job runs: a line for each event, and a block that is redrawn. */
export class RunView {
  readonly #live: LiveBlock
  readonly #stdout: NodeJS.WritableStream
  readonly #isShown: boolean
  readonly #job: LocalJob
  #redraw: NodeJS.Timeout | undefined

  constructor(job: LocalJob, { live, stdout, isShown }: RunViewOptions) {
    this.#live = live
    this.#stdout = stdout
    this.#isShown = isShown
    this.#job = job
  }

  line(text: string): void {
    if (this.#isShown) this.#live.line(`${clockTime(systemClock.now())} ${text}`)
  }

  /** What the job prints is its output, so it goes where results go. */
  print(text: string): void {
    if (this.#isShown) this.#live.above(() => this.#stdout.write(text))
  }

  begin(cluster: LocalCluster): void {
    const { run, log, state, otherFile, restore } = cluster.run
    const from = restore === undefined ? restorePointText(log) : (restore.path ?? 'the beginning')
    const where = `REST on ${cluster.client.url}; state in ${state.path}`
    this.line(`${this.#job.name} run ${run} starts from ${from}; ${where}`)
    if (otherFile !== undefined)
      this.line(
        `the run before was of ${otherFile}, this one goes on with its state; ` +
          'another job takes a state of its own with --name',
      )
    let before = cluster.facts()
    cluster.events.on('facts', (facts) => {
      for (const line of eventLines(before, facts, { checkpoints: this.#live.isLive })) this.line(line)
      before = facts
    })
    cluster.events.on('printed', (text) => this.print(text))
    cluster.events.on('lost', (name, exit) => this.line(lostLine(name, exit)))
    if (!this.#isShown) return
    if (this.#live.isLive) this.#draw(cluster)
    else this.#redraw = setInterval(() => this.#tell(cluster), LINE_MS)
  }

  #draw(cluster: LocalCluster): void {
    const { taskManagers } = this.#job
    const draw = () => this.#live.show(statusBlock(cluster.facts(), systemClock.now(), { taskManagers }))
    draw()
    this.#redraw = setInterval(draw, REDRAW_MS)
  }

  /** Without a terminal there is nothing to redraw: a line now and then says how far the job is. */
  #tell(cluster: LocalCluster): void {
    const line = progressLine(cluster.facts(), systemClock.now())
    if (line !== undefined) this.line(line)
  }

  end(): void {
    clearInterval(this.#redraw)
    this.#live.close()
  }
}

/** A process was lost; what the job makes of it is in its facts. */
export function lostLine(name: string, exit: ProcessExit): string {
  const who = name.startsWith('jm-') ? 'JobManager' : 'TaskManager'
  return `${who} ${name} lost (${exitText(exit)}); starting another`
}
