import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '#runtime/base/clock'
import { JobManagerClient } from '#runtime/contract/job-manager-client'
import type { RedisConfig, StorageConfig } from '#runtime/contract/process-config'
import type { JobFacts } from '#runtime/contract/rest'
import { JobProcesses as LocalProcesses, type ProcessFiles } from '#cli/local/job-processes'
import { eventually } from '#tools/servers/eventually'

export interface JobProcessesOptions {
  readonly directory: string
  readonly module: string
  readonly args?: Readonly<Record<string, unknown>>
  readonly storage: StorageConfig
  readonly redis?: RedisConfig
  readonly jobManagers: number
  readonly taskManagers: number
  readonly slots: number
  readonly run?: number
  /** Default: all slots. */
  readonly parallelism?: number
  readonly checkpointIntervalMs?: number
}

/**
 * JobManagers (`jm-1` ...) and TaskManagers (`tm-1` ...) as real processes, started as `weir run`
 * starts them, but nothing is started again by itself. Logs stay in `directory`.
 */
export class JobProcesses implements AsyncDisposable {
  readonly #files: ProcessFiles
  readonly #processes: LocalProcesses

  private constructor(options: JobProcessesOptions) {
    const { directory, module, args, run = 1, checkpointIntervalMs = 200, jobManagers, ...rest } = options
    const file = (end: string) => (name: string) => join(directory, `${name}.${end}`)
    this.#files = {
      tokenFile: join(directory, 'token'),
      config: file('json'),
      ready: file('ready.json'),
      log: file('log'),
    }
    this.#processes = new LocalProcesses({
      settings: {
        job: { cluster: 'test', namespace: 'default', name: 'job', uid: 'uid-1' },
        run,
        module: { path: module, args: { ...args } },
        checkpoint: { intervalMs: checkpointIntervalMs, minPauseMs: 20 },
        restart: { delayMs: 100 },
        ...rest,
      },
      files: this.#files,
      jobManagers,
      clock: systemClock,
      random: Math.random,
      onExit: () => 'leave',
    })
  }

  static async start(options: JobProcessesOptions): Promise<JobProcesses> {
    const processes = new JobProcesses(options)
    await mkdir(options.directory, { recursive: true })
    await writeFile(processes.#files.tokenFile, 'a-token-for-tests-only')
    try {
      await processes.#processes.open()
      return processes
    } catch (error) {
      await processes[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Starts a process that has ended; nothing happens while it runs. */
  spawn(name: string): void {
    this.#processes.start(name)
  }

  /** Resolves when the process is gone (for SIGKILL and SIGTERM). */
  async signal(name: string, signal: NodeJS.Signals): Promise<void> {
    this.#processes.kill(name, signal)
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await this.#processes.gone(name)
  }

  /** REST of a JobManager. */
  url(name: string): string {
    return this.#processes.url(name)
  }

  /** REST of all JobManagers, running or not. */
  get urls(): readonly string[] {
    return this.#processes.jobManagerNames.map((name) => this.url(name))
  }

  client(name: string): JobManagerClient {
    return new JobManagerClient({ url: this.url(name) }, { clock: systemClock, answerMs: 2000 })
  }

  facts(name: string): Promise<JobFacts> {
    return this.client(name).overview()
  }

  /** A TaskManager that runs tasks; with a spare one, not every TaskManager does. */
  async busyTaskManager(): Promise<string> {
    const { name } = await this.leader('a leader', ({ state }) => state === 'Running')
    const busy = (await this.client(name).vertices()).at(-1)?.subtasks[0]?.taskManager
    if (busy === undefined) throw new Error('No vertex says where it runs.')
    return busy
  }

  /** A request as it is, right or wrong, and its answer. */
  async post(name: string, path: string, body: object): Promise<unknown> {
    const response = await fetch(`${this.url(name)}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })
    return response.json()
  }

  /** The JobManager that leads, with its facts, once they satisfy `condition`. */
  leader(
    what: string,
    condition: (facts: JobFacts) => boolean,
    limitMs = 30_000,
  ): Promise<{ name: string; facts: JobFacts }> {
    return eventually(
      async () => {
        const answers = await this.#answers()
        const found = answers.find(({ facts }) => facts.leading && condition(facts))
        if (found === undefined) throw new Error(JSON.stringify(answers.map(summary)))
        return found
      },
      { limitMs, what },
    )
  }

  /** Last lines of a process's log, for failing tests. */
  async log(name: string, lines = 30): Promise<string> {
    return (await readFile(this.#files.log(name), 'utf8')).split('\n').slice(-lines).join('\n')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes.close(0)
  }

  /** Facts of the JobManagers that answer. */
  async #answers(): Promise<{ name: string; facts: JobFacts }[]> {
    const names = this.#processes.jobManagerNames
    const all = await Promise.allSettled(names.map(async (name) => ({ name, facts: await this.facts(name) })))
    return all.flatMap((a) => (a.status === 'fulfilled' ? [a.value] : []))
  }
}

const summary = ({ name, facts }: { readonly name: string; readonly facts: JobFacts }) => [
  name,
  facts.leading,
  facts.state,
  facts.message,
  facts.checkpoint.completed,
]
