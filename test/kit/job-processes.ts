import { spawn, type ChildProcess } from 'node:child_process'
import { openSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type * as z from 'zod'
import type {
  jobManagerConfig,
  RedisConfig,
  StorageConfig,
  taskManagerConfig,
} from '#runtime/contract/process-config'
import type { JobFacts } from '#runtime/contract/rest'
import { eventually } from '#tools/servers/eventually'
import { freePort } from '#tools/servers/free-port'

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

interface Running {
  readonly child: ChildProcess
  readonly exited: Promise<void>
}

/**
 * JobManagers and TaskManagers as real processes, each started by name with a configuration of its
 * own; logs stay in `directory`.
 */
export class JobProcesses implements AsyncDisposable {
  readonly #options: JobProcessesOptions
  readonly #running = new Map<string, Running>()
  readonly #rest = new Map<string, string>()

  private constructor(options: JobProcessesOptions) {
    this.#options = options
  }

  static async start(options: JobProcessesOptions): Promise<JobProcesses> {
    const processes = new JobProcesses(options)
    await mkdir(options.directory, { recursive: true })
    await writeFile(join(options.directory, 'token'), 'a-token-for-tests-only')
    const rpc = await processes.#configureJobManagers()
    for (let i = 1; i <= options.taskManagers; i++) await processes.#configureTaskManager(`tm-${i}`, rpc)
    for (const name of [
      ...processes.#names('jm', options.jobManagers),
      ...processes.#names('tm', options.taskManagers),
    ])
      processes.spawn(name)
    return processes
  }

  /** Starts the process, again if it has ended. */
  spawn(name: string): void {
    const entry = name.startsWith('jm') ? 'job-manager' : 'task-manager'
    const log = openSync(join(this.#options.directory, `${name}.log`), 'a')
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL(`../../runtime/bin/${entry}.ts`, import.meta.url))],
      {
        env: { ...process.env, WEIR_CONFIG: join(this.#options.directory, `${name}.json`) },
        stdio: ['ignore', log, log],
      },
    )
    this.#running.set(name, { child, exited: new Promise((resolve) => child.once('exit', () => resolve())) })
  }

  /** Resolves when the process is gone (for SIGKILL and SIGTERM). */
  async signal(name: string, signal: NodeJS.Signals): Promise<void> {
    const running = this.#running.get(name)
    running?.child.kill(signal)
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await running?.exited
  }

  /** REST of a JobManager. */
  url(name: string): string {
    const url = this.#rest.get(name)
    if (url === undefined) throw new Error(`There is no JobManager ${name}.`)
    return url
  }

  /** REST of all JobManagers, running or not. */
  get urls(): readonly string[] {
    return [...this.#rest.values()]
  }

  async facts(name: string): Promise<JobFacts> {
    const response = await fetch(`${this.#rest.get(name)}/overview`, { signal: AbortSignal.timeout(2000) })
    return (await response.json()) as JobFacts
  }

  async post(name: string, path: string, body: object): Promise<unknown> {
    const response = await fetch(`${this.#rest.get(name)}${path}`, {
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
        const all = await Promise.allSettled(
          [...this.#rest.keys()].map(async (name) => ({ name, facts: await this.facts(name) })),
        )
        const answers = all.flatMap((a) => (a.status === 'fulfilled' ? [a.value] : []))
        const found = answers.find(({ facts }) => facts.leading && condition(facts))
        if (found === undefined)
          throw new Error(
            JSON.stringify(
              answers.map(({ name, facts }) => [
                name,
                facts.leading,
                facts.state,
                facts.message,
                facts.checkpoint.completed,
              ]),
            ),
          )
        return found
      },
      { limitMs, what },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      [...this.#running.values()].map(async ({ child, exited }) => {
        child.kill('SIGKILL')
        await exited
      }),
    )
  }

  #names(prefix: string, count: number): string[] {
    return Array.from({ length: count }, (_, i) => `${prefix}-${i + 1}`)
  }

  #common() {
    const { storage, directory } = this.#options
    return {
      job: { cluster: 'test', namespace: 'default', name: 'job', uid: 'uid-1' },
      run: this.#options.run ?? 1,
      tokenFile: join(directory, 'token'),
      storage,
    }
  }

  async #configureJobManagers(): Promise<string[]> {
    const {
      directory,
      module,
      args,
      redis,
      jobManagers,
      taskManagers,
      slots,
      parallelism,
      checkpointIntervalMs,
    } = this.#options
    const addresses: string[] = []
    for (const id of this.#names('jm', jobManagers)) {
      const [rpc, rest] = [await freePort(), await freePort()]
      const config: z.input<typeof jobManagerConfig> = {
        ...this.#common(),
        id,
        module: { path: module, args: { ...args } },
        expectedSlots: taskManagers * slots,
        ...(parallelism === undefined ? {} : { parallelism }),
        checkpoint: { intervalMs: checkpointIntervalMs ?? 200, minPauseMs: 20 },
        restart: { delayMs: 100 },
        rpc: { host: '127.0.0.1', port: rpc },
        rest: { host: '127.0.0.1', port: rest },
        ...(redis === undefined ? {} : { redis }),
      }
      await writeFile(join(directory, `${id}.json`), JSON.stringify(config))
      this.#rest.set(id, `http://127.0.0.1:${rest}`)
      addresses.push(`127.0.0.1:${rpc}`)
    }
    return addresses
  }

  async #configureTaskManager(id: string, jobManagers: string[]): Promise<void> {
    const config: z.input<typeof taskManagerConfig> = {
      ...this.#common(),
      id,
      slots: this.#options.slots,
      jobManagers,
      data: { host: '127.0.0.1', port: 0, advertise: '127.0.0.1' },
    }
    await writeFile(join(this.#options.directory, `${id}.json`), JSON.stringify(config))
  }

  /** Last lines of a process's log, for failing tests. */
  async log(name: string, lines = 30): Promise<string> {
    return (await readFile(join(this.#options.directory, `${name}.log`), 'utf8'))
      .split('\n')
      .slice(-lines)
      .join('\n')
  }
}
