/**
 * A job on this machine: one JobManager and n TaskManagers as child processes, with files for
 * storage, no Redis, loopback, any free ports. What Kubernetes does in a cluster (starting again
 * what died) is done here.
 *
 * I1 The state directory is locked from `start` until `ended`.
 * I2 A child that dies before the job has ended is started again, except one that refuses its
 *    configuration.
 * I3 `ended` resolves once, after every child is gone; it never rejects.
 */
import { EventEmitter } from 'node:events'
import { type Clock, sleep, systemClock } from '#runtime/base/clock'
import { messageOf, WeirError, present } from '#runtime/base/errors'
import type { LogLevel } from '#runtime/base/logger'
import { JobManagerClient } from '#runtime/contract/job-manager-client'
import { isFinal, type JobFacts, type StopRequest } from '#runtime/contract/rest'
import { closingStatus } from './job-log.ts'
import { type JobOutcome, outcomeOf } from './job-outcome.ts'
import { EXIT_BAD_CONFIG, JobProcesses } from './job-processes.ts'
import type { LocalJob } from './local-job.ts'
import { type OpenedRun, openRun } from './open-run.ts'
import { pinSource } from './pin-source.ts'
import type { JobSettings } from './process-configs.ts'
import { RunTotals } from './run-totals.ts'
import type { ProcessExit } from './supervised-process.ts'

export interface LocalClusterOptions {
  readonly job: LocalJob
  readonly stateDir: string
  /** Forget an earlier job of this directory: a new uid, an empty start. Its files stay. */
  readonly fresh?: boolean
  readonly logLevel?: LogLevel
  readonly clock?: Clock
  readonly random?: () => number
}

export interface LocalClusterEvents {
  facts: [JobFacts]
  /** A process was lost; another one is being started. */
  lost: [name: string, exit: ProcessExit]
  /** What the job's code wrote to standard output, `print()` included; whole lines or not. */
  printed: [text: string]
}

const STOP_MS = 5_000

export class LocalCluster {
  readonly events = new EventEmitter<LocalClusterEvents>()
  readonly ended: Promise<JobOutcome>
  readonly #run: OpenedRun
  readonly #clock: Clock
  readonly #processes: JobProcesses
  readonly #closing = new AbortController()
  #resolveEnded: (outcome: JobOutcome) => void = () => undefined
  #client: JobManagerClient | undefined
  readonly totals = new RunTotals()
  #facts: JobFacts | undefined
  #hasRun = false
  #ending: Promise<void> | undefined

  private constructor(options: LocalClusterOptions, run: OpenedRun) {
    const { job, clock = systemClock, random = Math.random, logLevel = 'Info' } = options
    this.#run = run
    this.#clock = clock
    this.#processes = new JobProcesses({
      settings: { ...settingsOf(job, run), logLevel },
      files: run.state,
      jobManagers: 1,
      clock,
      random,
      onExit: (name, exit) => this.#exited(name, exit),
      onPrint: (text) => this.events.emit('printed', text),
    })
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve))
  }

  /**
   * Takes the state directory and starts every process; resolves once the JobManager listens. What
   * happens later is in `events` and `ended`.
   * @throws {CliError | WeirError} when the directory is in use or the job in it has finished, when
   *   what it starts from is not retained any more, or when the JobManager cannot start.
   */
  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const run = await openRun(options.stateDir, options.job, {
      fresh: options.fresh ?? false,
      now: (options.clock ?? systemClock).now(),
    })
    const cluster = new LocalCluster(options, run)
    try {
      await pinSource(run)
      await cluster.#open()
      return cluster
    } catch (error) {
      await cluster.#end(cluster.#failed(messageOf(error)))
      throw error
    }
  }

  get run(): OpenedRun {
    return this.#run
  }
  /** The newest facts; undefined until the JobManager has answered. */
  facts(): JobFacts | undefined {
    return this.#facts
  }
  get client(): JobManagerClient {
    if (this.#client === undefined) throw new WeirError('BUG', 'LocalCluster is used before start()')
    return this.#client
  }

  /**
   * `kill -9` of TaskManager `index` (0-based). It is started again. False when it does not run at
   * the moment.
   */
  killTaskManager(index: number): boolean {
    const name = this.#processes.taskManagerNames[index]
    return name !== undefined && this.#processes.kill(name, 'SIGKILL')
  }
  killJobManager(): boolean {
    return this.#processes.kill(this.#jobManager, 'SIGKILL')
  }

  /**
   * Resolves with the first facts that satisfy `condition`, from the current ones on.
   * @throws {WeirError} DEADLINE after `limitMs`, or when the job ends before
   */
  async waitFor(what: string, condition: (facts: JobFacts) => boolean, limitMs: number): Promise<JobFacts> {
    if (this.#facts !== undefined && condition(this.#facts)) return this.#facts
    const { promise, resolve, reject } = Promise.withResolvers<JobFacts>()
    const late = (message: string) => reject(new WeirError('DEADLINE', message))
    const onFacts = (facts: JobFacts) => {
      if (condition(facts)) resolve(facts)
    }
    const timer = this.#clock.after(limitMs, () => {
      const state = this.#facts?.state ?? 'starting'
      late(`The job did not reach "${what}" within ${limitMs} ms; it is ${state}.`)
    })
    this.events.on('facts', onFacts)
    void this.ended.then(({ state, message }) =>
      late(`The job ended (${state}: ${message}) before "${what}".`),
    )
    try {
      return await promise
    } finally {
      timer.cancel()
      this.events.off('facts', onFacts)
    }
  }

  /**
   * Stops the job by its JobManager, with a checkpoint or a savepoint; `ended` says how it went.
   * @throws {WeirError} when the JobManager refuses
   */
  async stop(request: StopRequest = { mode: 'checkpoint' }): Promise<JobOutcome> {
    await this.client.triggerStop(request)
    return await this.ended
  }

  /**
   * Ends every process at once, like a power cut. The job resumes from its latest completed
   * checkpoint at the next start.
   */
  async kill(): Promise<JobOutcome> {
    await this.#end({ state: 'Killed', message: 'killed', error: undefined, facts: this.#facts }, 0)
    return await this.ended
  }

  get #jobManager(): string {
    return present(this.#processes.jobManagerNames[0], 'the name of a JobManager')
  }

  async #open(): Promise<void> {
    const { state, record } = this.#run
    await this.#processes.open()
    const url = this.#processes.url(this.#jobManager)
    this.#client = new JobManagerClient({ url, token: state.token() }, { clock: this.#clock })
    state.write({ ...record, rest: url })
    void this.#follow(this.#client)
  }

  #exited(name: string, exit: ProcessExit): 'restart' | 'leave' {
    if (this.#ending !== undefined || (this.#facts !== undefined && isFinal(this.#facts.state)))
      return 'leave'
    if (exit.code === EXIT_BAD_CONFIG) {
      const log = `(log: ${this.#run.state.log(name)})`
      void this.#end(this.#failed(`${name} refuses its configuration: ${exit.lastWords} ${log}`))
      return 'leave'
    }
    if (name === this.#jobManager && exit.code === 0) {
      void this.#endAsLogged()
      return 'leave'
    }
    this.events.emit('lost', name, exit)
    return 'restart'
  }

  /**
   * The JobManager ended by itself before its last facts were read: the log says how the run ended.
   */
  async #endAsLogged(): Promise<void> {
    const { state, record, run } = this.#run
    const status = await closingStatus(state, record, run)
    if (status === undefined) return this.#processes.start(this.#jobManager)
    if (status === 'Canceled') return await this.#end(this.#failed('canceled'))
    const facts = this.#facts
    await this.#end({ state: status, message: status.toLowerCase(), error: facts?.error, facts })
  }

  /** Reads the facts until the job has ended, from one JobManager process after the other. */
  async #follow(client: JobManagerClient): Promise<void> {
    const { signal } = this.#closing
    for (let failures = 0; !signal.aborted; failures++) {
      if (await this.#readFacts(client, signal)) failures = 0
      await sleep(this.#clock, Math.min(20 * 2 ** failures, 500), signal).catch(() => undefined)
    }
  }

  /** True when there were any. */
  async #readFacts(client: JobManagerClient, signal: AbortSignal): Promise<boolean> {
    let hasFacts = false
    try {
      for await (const facts of client.events(signal)) {
        hasFacts = true
        this.#take(facts)
      }
    } catch (error) {
      if (!(error instanceof WeirError)) throw error
    }
    return hasFacts
  }

  #take(facts: JobFacts): void {
    this.#facts = facts
    this.totals.take(facts)
    this.#hasRun ||= facts.state === 'Running'
    const outcome = outcomeOf(facts, this.#hasRun)
    // Facts of a job that would wait for a person are left out: it ends with their error instead.
    if (outcome === undefined || isFinal(facts.state)) this.events.emit('facts', facts)
    if (outcome !== undefined) void this.#end(outcome)
  }

  /** For `weir status`, which finds no JobManager any more that could say why. */
  #rememberFailure({ message, error }: JobOutcome): void {
    const { state, record, run } = this.#run
    const failure = { run, at: this.#clock.now(), message: error?.message ?? message }
    state.write({ ...(state.read() ?? record), failure })
  }

  #failed(message: string): JobOutcome {
    return { state: 'Failed', message, error: undefined, facts: this.#facts }
  }

  #end(outcome: JobOutcome, limitMs = STOP_MS): Promise<void> {
    this.#ending ??= (async () => {
      this.#closing.abort()
      await this.#processes.close(limitMs)
      if (outcome.state === 'Failed') this.#rememberFailure(outcome)
      this.#run.close()
      this.#resolveEnded(outcome)
    })()
    return this.#ending
  }
}

function settingsOf(job: LocalJob, { state, record, run, restore }: OpenedRun): JobSettings {
  const { cluster, namespace, name, uid } = record
  const { taskManagers, slots, parallelism, maxParallelism, checkpoint, restart, s3, module, args } = job
  return {
    job: { cluster, namespace, name, uid },
    run,
    module: { path: 'path' in module ? module.path : state.inlineModule, args },
    storage: { type: 'file', root: state.storageRoot(record) },
    taskManagers,
    slots,
    checkpoint,
    restart,
    ...(parallelism === undefined ? {} : { parallelism }),
    ...(maxParallelism === undefined ? {} : { maxParallelism }),
    ...(restore === undefined ? {} : { restore }),
    ...(job.allowNonRestoredState === true ? { allowNonRestoredState: true } : {}),
    ...(s3 === undefined ? {} : { s3 }),
  }
}
