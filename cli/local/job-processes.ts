/**
 * The JobManagers and TaskManagers of one job as processes of this machine, on the loopback. Each
 * has a name (`jm-1`, `tm-1` ...), a configuration and a log of its own. They are the same programs
 * as in a cluster; `weir run`, the tests and the benchmarks start them here.
 *
 * JobManagers listen on any free ports first; the ports are then written into their configurations,
 * so that a JobManager that is started again is found where it was.
 */
import { member } from '#runtime/base/member'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Clock, sleep } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import {
  type JobManagerPorts,
  type JobManagerSettings,
  jobManagerConfigOf,
  type JobSettings,
  type TaskManagerSettings,
  taskManagerConfigOf,
} from './process-configs.ts'
import { exitText, type ProcessExit, SupervisedProcess } from './supervised-process.ts'
import { writeAtomically } from './write-atomically.ts'

/** Where the files of the processes lie, by name of the process. */
export interface ProcessFiles {
  readonly tokenFile: string
  config(name: string): string
  /** Written by a JobManager once it listens. */
  ready(name: string): string
  log(name: string): string
}

/** What is different for single processes, by name: their ways to each other and to servers. */
export interface ProcessDifferences {
  jobManager(name: string, config: JobManagerSettings): JobManagerSettings
  taskManager(name: string, config: TaskManagerSettings): TaskManagerSettings
  /** Added to the environment. */
  environment(name: string): Readonly<Record<string, string>>
}

export interface JobProcessesOptions {
  readonly settings: JobSettings
  /** Absent: all are alike. */
  readonly differences?: ProcessDifferences
  readonly files: ProcessFiles
  readonly jobManagers: number
  readonly clock: Clock
  readonly random: () => number
  /**
   * A process ended, and not by `close`: whether to start it again. Not called for a JobManager
   * that has never listened.
   */
  readonly onExit: (name: string, exit: ProcessExit) => 'restart' | 'leave'
  /** Told what the job's code writes to standard output; absent: only the logs have it. */
  readonly onPrint?: (text: string) => void
}

const READY_MS = 30_000
const READY_POLL_MS = 5
/** A JobManager that ends this often without ever listening will not do better the next time. */
const MAX_UNREADY_EXITS = 3
/** The configuration is refused; starting again cannot help. */
export const EXIT_BAD_CONFIG = 2

interface JobManager {
  readonly name: string
  ports: JobManagerPorts | undefined
  unreadyExits: number
  readonly failed: AbortController
}

export class JobProcesses {
  readonly taskManagerNames: readonly string[]
  readonly #options: JobProcessesOptions
  readonly #jobManagers: readonly JobManager[]
  readonly #processes = new Map<string, SupervisedProcess>()

  constructor(options: JobProcessesOptions) {
    this.#options = options
    this.taskManagerNames = namesOf('tm', options.settings.taskManagers)
    this.#jobManagers = namesOf('jm', options.jobManagers).map((name) => ({
      name,
      ports: undefined,
      unreadyExits: 0,
      failed: new AbortController(),
    }))
  }

  /**
   * Starts every process; resolves once all JobManagers listen.
   * @throws {WeirError} CFG_INVALID with what a JobManager said that cannot start
   */
  async open(): Promise<void> {
    for (const jobManager of this.#jobManagers) this.#startJobManager(jobManager)
    const ports = await Promise.all(this.#jobManagers.map((it) => this.#portsOf(it)))
    for (const { name } of this.#jobManagers) this.#configureJobManager(name)
    for (const name of this.taskManagerNames) {
      this.#configureTaskManager(name, ports)
      this.#supervise(name, 'task-manager').start()
    }
  }

  /** REST of a JobManager that has listened, running or not. */
  url(name: string): string {
    const ports = this.#jobManagers.find((it) => it.name === name)?.ports
    if (ports === undefined) throw new WeirError('BUG', `There is no JobManager ${name}.`)
    return `http://127.0.0.1:${ports.rest}`
  }

  get jobManagerNames(): readonly string[] {
    return this.#jobManagers.map(({ name }) => name)
  }

  /** Starts a process that has ended; nothing happens while it runs. */
  start(name: string): void {
    this.#process(name).start()
  }

  /** Sends a signal; false when the process does not run at the moment. */
  kill(name: string, signal: NodeJS.Signals): boolean {
    return this.#process(name).kill(signal)
  }

  /** Resolves when the process has ended. */
  gone(name: string): Promise<void> {
    return this.#process(name).gone()
  }

  /** Ends all of them: SIGTERM, and SIGKILL after `limitMs`; SIGKILL at once for 0. Idempotent. */
  async close(limitMs: number): Promise<void> {
    await Promise.all([...this.#processes.values()].map((it) => it.stop(limitMs)))
  }

  #process(name: string): SupervisedProcess {
    const found = this.#processes.get(name)
    if (found === undefined) throw new WeirError('BUG', `There is no process ${name}.`)
    return found
  }

  #supervise(name: string, entry: 'job-manager' | 'task-manager'): SupervisedProcess {
    const { files, differences, clock, random, onPrint = () => undefined } = this.#options
    const it = new SupervisedProcess({
      entry,
      environment: differences?.environment(name) ?? {},
      configFile: files.config(name),
      logFile: files.log(name),
      clock,
      random,
      onExit: (exit) => this.#exited(name, exit),
      onPrint,
    })
    this.#processes.set(name, it)
    return it
  }

  #exited(name: string, exit: ProcessExit): 'restart' | 'leave' {
    const jobManager = this.#jobManagers.find((it) => it.name === name)
    if (jobManager === undefined || jobManager.ports !== undefined) return this.#options.onExit(name, exit)
    if (exit.code !== EXIT_BAD_CONFIG && ++jobManager.unreadyExits < MAX_UNREADY_EXITS) return 'restart'
    jobManager.failed.abort(this.#startFailure(name, `ended with ${exitText(exit)}`, exit.lastWords))
    return 'leave'
  }

  #startJobManager({ name }: JobManager): void {
    rmSync(this.#options.files.ready(name), { force: true })
    this.#configureJobManager(name)
    this.#supervise(name, 'job-manager').start()
  }

  async #portsOf(jobManager: JobManager): Promise<JobManagerPorts> {
    const { clock, files } = this.#options
    const { name, failed } = jobManager
    const deadline = clock.monotonic() + READY_MS
    for (;;) {
      jobManager.ports = readPorts(files.ready(name))
      if (jobManager.ports !== undefined) return jobManager.ports
      if (clock.monotonic() > deadline)
        throw this.#startFailure(name, `did not listen within ${READY_MS / 1000} s`, '')
      await sleep(clock, READY_POLL_MS, failed.signal)
    }
  }

  #startFailure(name: string, how: string, words: string): WeirError {
    const said = words === '' ? '' : `: ${words}`
    return new WeirError(
      'CFG_INVALID',
      `JobManager ${name} ${how}${said} (log: ${this.#options.files.log(name)})`,
    )
  }

  #configureJobManager(name: string): void {
    const { settings, files, differences } = this.#options
    const ports = this.#jobManagers.find((it) => it.name === name)?.ports ?? { rpc: 0, rest: 0 }
    const place = { id: name, tokenFile: files.tokenFile, readyFile: files.ready(name), ports }
    const config = jobManagerConfigOf(settings, place)
    writeConfig(files.config(name), differences?.jobManager(name, config) ?? config)
  }

  #configureTaskManager(name: string, ports: readonly JobManagerPorts[]): void {
    const { settings, files, differences } = this.#options
    const place = { id: name, tokenFile: files.tokenFile, jobManagers: ports.map(({ rpc }) => rpc) }
    const config = taskManagerConfigOf(settings, place)
    writeConfig(files.config(name), differences?.taskManager(name, config) ?? config)
  }
}

const namesOf = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`)

function writeConfig(path: string, config: object): void {
  mkdirSync(dirname(path), { recursive: true })
  writeAtomically(path, `${JSON.stringify(config, null, 2)}\n`)
}

function readPorts(readyFile: string): JobManagerPorts | undefined {
  try {
    const ports: unknown = JSON.parse(readFileSync(readyFile, 'utf8'))
    const [rpc, rest] = [member(ports, 'rpc'), member(ports, 'rest')]
    return typeof rpc === 'number' && typeof rest === 'number' ? { rpc, rest } : undefined
  } catch {
    return undefined
  }
}
