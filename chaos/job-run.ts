/**
 * One run of the job: two JobManagers and some TaskManagers, started again when they die, as
 * Kubernetes would; and what a user does to a run.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { JobProcesses, type ProcessDifferences } from '#cli/local/job-processes'
import { exitText, type ProcessExit } from '#cli/local/supervised-process'
import { systemClock } from '#runtime/base/clock'
import { readLog } from '#runtime/commit-log/log-reader'
import { messageOf } from '#runtime/base/errors'
import { JobManagerClient } from '#runtime/contract/job-manager-client'
import type { RestoreOptions } from '#runtime/contract/job-options'
import type { RedisConfig, S3Access } from '#runtime/contract/process-config'
import { isFinal, type JobFacts, type OperationView, type StopRequest } from '#runtime/contract/rest'
import { openStore } from '#runtime/storage/open-store'
import { jobRoot } from '#runtime/storage/paths'
import { eventually } from '#tools/servers/eventually'
import type { Story } from './story.ts'
import { type Sighting, Watcher } from './watcher.ts'

/** What a user can change from one run to the next. */
export interface RunSettings {
  /** Of the job, for the story: "job" or "fork". */
  readonly name: string
  readonly uid: string
  readonly run: number
  readonly module: string
  readonly input: string
  readonly output: string
  readonly jobManagers: number
  readonly taskManagers: number
  /** Of each TaskManager. */
  readonly slots: number
  readonly parallelism: number
  readonly restore?: RestoreOptions
}

/** What all runs have in common. */
export interface RunGround {
  /** For configuration and logs. */
  readonly directory: string
  readonly story: Story
  readonly bucket: string
  readonly s3: S3Access
  readonly redis: RedisConfig
  readonly differences: ProcessDifferences
}

const ORPHAN_TIMEOUT_MS = 15_000
export const CHECKPOINT_INTERVAL_MS = 500
/** Largest delay between attempts of a job that keeps failing. */
export const MAX_RESTART_DELAY_MS = 5000
const CHECKPOINT_TIMEOUT_MS = 20_000
const WATCH = '300ms'
/** One that does not answer within it is asked again, or another one that leads since. */
const LEADER_ANSWER_MS = 1500
/** Longer than any fault. */
const LOG_LIMIT_MS = 40_000

export class JobRun implements AsyncDisposable {
  readonly settings: RunSettings
  readonly watcher: Watcher
  readonly directory: string
  /** Asked for, stops included. */
  savepoints = 0
  readonly #processes: JobProcesses
  readonly #story: Story

  private constructor(
    settings: RunSettings,
    ground: { readonly directory: string; readonly story: Story; readonly processes: JobProcesses },
  ) {
    this.settings = settings
    this.directory = ground.directory
    this.#processes = ground.processes
    this.#story = ground.story
    const { jobManagerNames } = ground.processes
    this.watcher = new Watcher({
      job: settings.name,
      jobManagers: new Map(jobManagerNames.map((name) => [name, ground.processes.url(name)])),
      story: ground.story,
      clock: systemClock,
    })
  }

  static async start(settings: RunSettings, ground: RunGround): Promise<JobRun> {
    const { story } = ground
    const directory = join(ground.directory, `${settings.uid}-run-${settings.run}`)
    const file = (end: string) => (name: string) => join(directory, `${name}.${end}`)
    mkdirSync(directory, { recursive: true })
    const tokenFile = join(directory, 'token')
    writeFileSync(tokenFile, randomUUID())
    const processes = new JobProcesses({
      settings: jobSettings(settings, ground),
      differences: {
        ...ground.differences,
        taskManager: (name, config) => ({
          ...ground.differences.taskManager(name, config),
          orphanTimeoutMs: ORPHAN_TIMEOUT_MS,
        }),
      },
      files: { tokenFile, config: file('json'), ready: file('ready.json'), log: file('log') },
      jobManagers: settings.jobManagers,
      clock: systemClock,
      random: Math.random,
      onExit: (name, exit) => {
        story.tell(`      ${settings.name} ${name} ended with ${exitText(exit)}${wordsOf(exit)}`)
        return 'restart'
      },
    })
    try {
      await processes.open()
      return new JobRun(settings, { directory, story, processes })
    } catch (error) {
      await processes.close(0)
      throw error
    }
  }

  get processNames(): readonly string[] {
    return [...this.#processes.jobManagerNames, ...this.#processes.taskManagerNames]
  }

  /** False when it does not run at the moment. */
  signal(name: string, signal: NodeJS.Signals): boolean {
    return this.processNames.includes(name) && this.#processes.kill(name, signal)
  }

  /**
   * Stops the job and waits until it has ended, with the path of its savepoint if there is one;
   * undefined, and a line in the story, when that is not certain within `limitMs`.
   */
  async stop(request: StopRequest, limitMs: number): Promise<{ readonly path?: string } | undefined> {
    const triggerId = randomUUID()
    if (request.mode === 'savepoint') this.savepoints++
    return await this.#try(`stop with a ${request.mode}`, async () => {
      const operation = await this.#operation(triggerId, {
        limitMs,
        ask: (client) => client.triggerStop({ ...request, triggerId }),
        isOver: ({ facts }) => isFinal(facts.state),
      })
      return operation?.path === undefined ? {} : { path: operation.path }
    })
  }

  /**
   * Takes a savepoint; undefined, and a line in the story, when there was none within `limitMs`.
   */
  async savepoint(path: string | undefined, limitMs: number): Promise<OperationView | undefined> {
    const triggerId = randomUUID()
    this.savepoints++
    const request = { triggerId, ...(path === undefined ? {} : { path }) }
    return await this.#try('savepoint', () =>
      this.#operation(triggerId, {
        limitMs,
        ask: (client) => client.triggerSavepoint(request),
        isOver: () => false,
      }),
    )
  }

  /**
   * What the leader answers now, not what was seen of it last.
   * @throws when nobody answers as the leader within `limitMs`
   */
  askLeader(limitMs: number): Promise<JobFacts> {
    return eventually(
      async () => {
        const leader = this.watcher.leader()
        if (leader === undefined) throw new Error('nobody leads')
        const facts = await this.#client(leader.name, LEADER_ANSWER_MS).overview()
        if (!facts.leading) throw new Error(`${leader.name} does not lead any more`)
        return facts
      },
      { limitMs, what: 'an answer of the leader' },
    )
  }

  /**
   * Ends all processes: SIGTERM, and SIGKILL after `graceMs`; SIGKILL at once for 0. Idempotent.
   */
  async close(graceMs: number): Promise<void> {
    try {
      await this.watcher[Symbol.asyncDispose]()
    } finally {
      await this.#processes.close(graceMs)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close(0)
  }

  async #try<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      this.#story.tell(`      no ${what}: ${messageOf(error).slice(0, 300)}`)
      return undefined
    }
  }

  /** `answerMs`: within which each request is answered, if not within the client's own limit. */
  #client(jobManager: string, answerMs?: number): JobManagerClient {
    const limits = { clock: systemClock, ...(answerMs === undefined ? {} : { answerMs }) }
    return new JobManagerClient({ url: this.#processes.url(jobManager) }, limits)
  }

  /**
   * Asks the leader, and each later one that does not know of it, as the operator does.
   * @throws when it is refused, fails, or is not done within `limitMs`
   */
  async #operation(
    triggerId: string,
    { limitMs, ask, isOver }: Operation,
  ): Promise<OperationView | undefined> {
    const first = await eventually(() => this.watcher.leader(), { limitMs, what: 'a leader' })
    await ask(this.#client(first.name))
    let asked = termOf(first)
    const seen = await eventually(
      async () => {
        const leader = this.watcher.leader()
        if (leader === undefined) return undefined
        const operation = leader.facts.operations.find((it) => it.triggerId === triggerId)
        if (operation !== undefined && operation.status !== 'InProgress') return { operation }
        if (isOver(leader)) return { operation }
        if (operation === undefined && termOf(leader) !== asked) {
          await ask(this.#client(leader.name, LEADER_ANSWER_MS))
          asked = termOf(leader)
        }
        return undefined
      },
      { limitMs, what: 'the end of the operation', everyMs: 50 },
    )
    const { operation } = seen
    if (operation?.status === 'Failed') throw new Error(operation.error?.message ?? 'it failed')
    return operation
  }
}

interface Operation {
  readonly limitMs: number
  readonly ask: (client: JobManagerClient) => Promise<unknown>
  readonly isOver: (leader: Sighting) => boolean
}

const termOf = ({ name, facts }: Sighting): string => `${name} ${facts.epoch}`

/**
 * Whether the run was deployed, as the log says: from then on its restore block has acted. Asks
 * until the server answers.
 */
export async function hasDeployed(settings: RunSettings, ground: RunGround): Promise<boolean> {
  const store = openStore(jobSettings(settings, ground).storage)
  try {
    const { deploy } = await eventually(async () => (await readLog(store)).state, {
      limitMs: LOG_LIMIT_MS,
      what: 'the commit log can be read',
    })
    return deploy?.run === settings.run
  } finally {
    await store.close()
  }
}

function jobSettings(settings: RunSettings, { bucket, s3, redis }: RunGround) {
  const { name, uid, run, module, input, output, taskManagers, slots, parallelism, restore } = settings
  const job = { cluster: 'chaos', namespace: 'default', name, uid }
  return {
    job,
    run,
    module: { path: module, args: { input, output, watch: WATCH } },
    storage: { type: 's3', bucket, root: jobRoot('jobs', job), access: s3 },
    redis,
    taskManagers,
    slots,
    parallelism,
    checkpoint: {
      intervalMs: CHECKPOINT_INTERVAL_MS,
      minPauseMs: 100,
      timeoutMs: CHECKPOINT_TIMEOUT_MS,
    },
    restart: { delayMs: 200, maxDelayMs: MAX_RESTART_DELAY_MS },
    ...(restore === undefined ? {} : { restore }),
  } as const
}

const wordsOf = ({ code, lastWords }: ProcessExit): string =>
  code === 0 || lastWords === '' ? '' : `: ${lastWords.slice(0, 500)}`
