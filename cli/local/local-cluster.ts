import { EventEmitter } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { type Clock, sleep, systemClock } from '#runtime/base/clock'
import { type ErrorData, WeirError } from '#runtime/base/errors'
import type { LogLevel } from '#runtime/base/logger'
import type { JobFacts } from '#runtime/contract/rest'
import { closingStatus } from './job-log.ts'
import type { LocalJob } from './local-job.ts'
import {
  JOB_MANAGER,
  jobManagerConfigOf,
  type JobManagerPorts,
  type RunIdentity,
  taskManagerConfigOf,
  taskManagerName,
} from './process-configs.ts'
import { type OpenedRun, openRun } from './open-run.ts'
import { RestClient, type StopRequest } from './rest-client.ts'
import { writeAtomically } from './state-dir.ts'
import { type ProcessExit, SupervisedProcess } from './supervised-process.ts'
import { hasEnded } from '#cli/progress/event-lines'

/**
 * A job on this machine: one JobManager and n TaskManagers as child processes, with files for
 * storage, no Redis, loopback, any free ports. They are the same programs as in a cluster; what
 * Kubernetes does there (starting again what died) is done here.
 *
 * I1 The state directory is locked from `start` until `ended`.
 * I2 A child that dies before the job has ended is started again, except a JobManager that refuses
 *    its configuration (exit code 2).
 * I3 `ended` resolves once, after every child is gone; it never rejects.
 */
export interface LocalClusterOptions {
  readonly job: LocalJob
  readonly stateDir: string
  /** Forget an earlier job of this directory: a new uid, an empty start. Its files stay. */
  readonly fresh?: boolean
  readonly logLevel?: LogLevel
  readonly clock?: Clock
  readonly random?: () => number
}

export interface JobOutcome {
  readonly state: 'Finished' | 'Suspended' | 'Drained' | 'Failed' | 'Killed'
  readonly message: string
  readonly error: ErrorData | undefined
  readonly facts: JobFacts | undefined
}

export interface ProcessEvent {
  readonly name: string
  readonly kind: 'started' | 'exited'
  readonly exit: ProcessExit | undefined
}

export interface LocalClusterEvents {
  facts: [JobFacts]
  process: [ProcessEvent]
}

const READY_MS = 30_000
const STOP_MS = 5_000
/** A JobManager that dies this often without ever listening will not do better the next time. */
const MAX_UNREADY_EXITS = 3
const BAD_CONFIG = 2

export class LocalCluster {
  readonly events = new EventEmitter<LocalClusterEvents>()
  readonly ended: Promise<JobOutcome>
  readonly #run: OpenedRun
  readonly #job: LocalJob
  readonly #clock: Clock
  readonly #random: () => number
  readonly #identity: RunIdentity
  readonly #closing = new AbortController()
  #resolveEnded: (outcome: JobOutcome) => void = () => undefined
  #jobManager: SupervisedProcess | undefined
  #taskManagers: SupervisedProcess[] = []
  #client: RestClient | undefined
  #facts: JobFacts | undefined
  #unreadyExits = 0
  #isReady = false
  #ending: Promise<void> | undefined

  private constructor(options: LocalClusterOptions, run: OpenedRun) {
    this.#run = run
    this.#job = options.job
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? Math.random
    this.#identity = {
      state: run.state,
      record: run.record,
      run: run.run,
      restore: run.restore,
      logLevel: options.logLevel ?? 'Info',
    }
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve))
  }

  /**
   * Takes the state directory and starts every process; resolves once the JobManager listens. What
   * happens later is told by `events` and `ended`.
   * @throws {CliError | WeirError} when the directory is in use or the job in it has finished, or
   *   when the JobManager cannot start.
   */
  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const run = await openRun(options.stateDir, options.job, {
      fresh: options.fresh ?? false,
      now: (options.clock ?? systemClock).now(),
    })
    const cluster = new LocalCluster(options, run)
    try {
      await cluster.#startProcesses()
      return cluster
    } catch (error) {
      await cluster.#end({
        state: 'Failed',
        message: 'the JobManager did not start',
        error: undefined,
        facts: undefined,
      })
      throw error
    }
  }

  get run(): OpenedRun {
    return this.#run
  }
  /** The newest facts; undefined until the JobManager has told any. */
  facts(): JobFacts | undefined {
    return this.#facts
  }
  get client(): RestClient {
    if (this.#client === undefined) throw new WeirError('BUG', 'LocalCluster is used before start()')
    return this.#client
  }

  /**
   * `kill -9` of TaskManager `index` (0-based). It is started again. False when it does not run at
   * the moment.
   */
  killTaskManager(index: number): boolean {
    return this.#taskManagers[index]?.kill('SIGKILL') ?? false
  }
  killJobManager(): boolean {
    return this.#jobManager?.kill('SIGKILL') ?? false
  }

  /**
   * Resolves with the first facts that satisfy `condition`, from the current ones on. @throws
   * {WeirError} DEADLINE, or when the job ends before
   */
  async waitFor(what: string, condition: (facts: JobFacts) => boolean, limitMs: number): Promise<JobFacts> {
    if (this.#facts !== undefined && condition(this.#facts)) return this.#facts
    return await new Promise<JobFacts>((resolve, reject) => {
      const settle = () => {
        timer.cancel()
        this.events.off('facts', onFacts)
      }
      const onFacts = (facts: JobFacts) => {
        if (!condition(facts)) return
        settle()
        resolve(facts)
      }
      const timer = this.#clock.after(limitMs, () => {
        settle()
        reject(
          new WeirError(
            'DEADLINE',
            `The job did not reach "${what}" within ${limitMs} ms; it is ${this.#facts?.state ?? 'starting'}.`,
          ),
        )
      })
      this.events.on('facts', onFacts)
      void this.ended.then((outcome) => {
        settle()
        reject(
          new WeirError('DEADLINE', `The job ended (${outcome.state}: ${outcome.message}) before "${what}".`),
        )
      })
    })
  }

  /**
   * Stops the job by its JobManager, with a checkpoint or a savepoint; `ended` tells how it went.
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

  async #startProcesses(): Promise<void> {
    const { state } = this.#identity
    this.#jobManager = this.#supervise(JOB_MANAGER, 'job-manager', (exit) => this.#jobManagerExited(exit))
    const ports = await this.#startJobManager({ rpc: 0, rest: 0 })
    this.#client = new RestClient(`http://127.0.0.1:${ports.rest}`, state.token())
    state.write({ ...this.#run.record, run: this.#run.run, rest: this.#client.url })
    writeAtomically(
      state.config(JOB_MANAGER),
      JSON.stringify(jobManagerConfigOf(this.#identity, this.#job, ports), null, 2),
    )
    for (let index = 0; index < this.#job.taskManagers; index++) {
      const name = taskManagerName(index)
      writeAtomically(
        state.config(name),
        JSON.stringify(taskManagerConfigOf(this.#identity, this.#job, index, ports.rpc), null, 2),
      )
      const taskManager = this.#supervise(name, 'task-manager', (exit) =>
        exit.code === BAD_CONFIG ? this.#refused(name, exit) : 'restart',
      )
      this.#taskManagers.push(taskManager)
      taskManager.start()
    }
    void this.#follow()
  }

  #supervise(
    name: string,
    entry: 'job-manager' | 'task-manager',
    onExit: (exit: ProcessExit) => 'restart' | 'leave',
  ): SupervisedProcess {
    const { state } = this.#identity
    return new SupervisedProcess({
      name,
      entry,
      configFile: state.config(name),
      logFile: state.log(name),
      clock: this.#clock,
      random: this.#random,
      onStart: () => this.events.emit('process', { name, kind: 'started', exit: undefined }),
      onExit: (exit) => {
        if (this.#ending !== undefined || hasEnded(this.#facts)) return 'leave'
        this.events.emit('process', { name, kind: 'exited', exit })
        return onExit(exit)
      },
    })
  }

  async #startJobManager(ports: JobManagerPorts): Promise<JobManagerPorts> {
    const { state } = this.#identity
    const readyFile = state.ready(JOB_MANAGER)
    rmSync(readyFile, { force: true })
    writeAtomically(
      state.config(JOB_MANAGER),
      JSON.stringify(jobManagerConfigOf(this.#identity, this.#job, ports), null, 2),
    )
    const gone = new AbortController()
    const onProcess = ({ name, kind, exit }: ProcessEvent) => {
      if (
        name === JOB_MANAGER &&
        kind === 'exited' &&
        (exit?.code === BAD_CONFIG || this.#unreadyExits + 1 >= MAX_UNREADY_EXITS)
      )
        gone.abort(this.#startFailure(exit))
    }
    this.events.on('process', onProcess)
    this.#jobManager?.start()
    try {
      const deadline = this.#clock.monotonic() + READY_MS
      for (;;) {
        const ready = readPorts(readyFile)
        if (ready !== undefined) {
          this.#isReady = true
          return ready
        }
        if (this.#clock.monotonic() > deadline) throw this.#startFailure(undefined)
        await sleep(this.#clock, 5, gone.signal)
      }
    } finally {
      this.events.off('process', onProcess)
    }
  }

  #startFailure(exit: ProcessExit | undefined): WeirError {
    const words = exit?.lastWords ?? ''
    const how =
      exit === undefined ? `did not listen within ${READY_MS / 1000} s` : `ended with ${exitText(exit)}`
    return new WeirError(
      'CFG_INVALID',
      `The JobManager ${how}${words === '' ? '' : `: ${words}`} (log: ${this.#identity.state.log(JOB_MANAGER)})`,
      {
        context: { exit },
      },
    )
  }

  #jobManagerExited(exit: ProcessExit): 'restart' | 'leave' {
    if (exit.code === BAD_CONFIG) return this.#isReady ? this.#refused(JOB_MANAGER, exit) : 'leave'
    if (!this.#isReady && ++this.#unreadyExits >= MAX_UNREADY_EXITS) return 'leave'
    if (exit.code !== 0) return 'restart'
    void this.#endAsLogged()
    return 'leave'
  }

  /**
   * The JobManager ended by itself before its last facts were read: the log says how the run ended.
   */
  async #endAsLogged(): Promise<void> {
    const status = await closingStatus(this.#identity.state, this.#run.record, this.#run.run)
    if (status === undefined) this.#jobManager?.start()
    else if (status === 'Canceled')
      await this.#end({ state: 'Failed', message: 'canceled', error: undefined, facts: this.#facts })
    else
      await this.#end({
        state: status,
        message: status.toLowerCase(),
        error: this.#facts?.error,
        facts: this.#facts,
      })
  }

  #refused(name: string, exit: ProcessExit): 'leave' {
    const message = `${name} refuses its configuration: ${exit.lastWords} (log: ${this.#identity.state.log(name)})`
    void this.#end({ state: 'Failed', message, error: undefined, facts: this.#facts })
    return 'leave'
  }

  async #follow(): Promise<void> {
    const signal = this.#closing.signal
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        for await (const facts of this.client.events(signal)) {
          failures = 0
          this.#facts = facts
          this.events.emit('facts', facts)
          if (!hasEnded(facts)) continue
          const state = facts.state as JobOutcome['state']
          void this.#end({ state, message: facts.error?.message ?? facts.message, error: facts.error, facts })
          return
        }
      } catch (error) {
        if (!(error instanceof WeirError)) throw error
      }
      await sleep(this.#clock, Math.min(20 * 2 ** failures, 500), signal).catch(() => undefined)
    }
  }

  #end(outcome: JobOutcome, limitMs = STOP_MS): Promise<void> {
    this.#ending ??= (async () => {
      this.#closing.abort()
      const all = [...this.#taskManagers, ...(this.#jobManager === undefined ? [] : [this.#jobManager])]
      await Promise.all(all.map((process) => process.stop(limitMs)))
      this.#run.close()
      this.#resolveEnded(outcome)
    })()
    return this.#ending
  }
}

export const exitText = (exit: ProcessExit): string => exit.signal ?? `exit code ${exit.code ?? 'unknown'}`

function readPorts(readyFile: string): JobManagerPorts | undefined {
  try {
    const { rpc, rest } = JSON.parse(readFileSync(readyFile, 'utf8')) as Partial<JobManagerPorts>
    return typeof rpc === 'number' && typeof rest === 'number' ? { rpc, rest } : undefined
  } catch {
    return undefined
  }
}
