import { silentLogger } from '#runtime/base/logger'
import { CommitLog } from '#runtime/commit-log/commit-log'
import type { LogState } from '#runtime/commit-log/log-state'
import { logRecord, type LogBody } from '#runtime/contract/checkpoint-records'
import type { JobIdentity } from '#runtime/contract/job-options'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import { jobManagerConfig } from '#runtime/contract/process-config'
import type { OperationView } from '#runtime/contract/rest'
import { JobManager, type JobManagerOptions } from '#runtime/job-manager/job-manager'
import type { JobMaster } from '#runtime/job-manager/job-master'
import type { PlannedJob } from '#runtime/job-manager/plan-job'
import type { MemoryOperation } from '#runtime/storage/memory-store'
import { JOB } from './commit-log.ts'
import { MemoryDisk } from './memory-stores.ts'
import { MemoryTransport } from './memory-transport.ts'
import { ScriptedElection } from './scripted-election.ts'
import { ScriptedTaskManager, TOKEN } from './scripted-task-manager.ts'
import { anything, StoreFaults } from './store-faults.ts'
import { settled } from '#runtime/testing/test-clock'
import { WatchedClock } from './watched-clock.ts'

/** A plan of one source that is a sink as well. */
export const planOf = (parallelism: number, hash = `plan-${parallelism}`): ExecutionPlan => ({
  hash,
  maxParallelism: 128,
  vertices: [
    {
      id: 'v',
      name: 'v',
      parallelism,
      operators: [
        {
          id: 'v',
          uid: 'v',
          kind: 'sink',
          stateful: true,
          description: 'v',
          formerly: [],
          location: 'v.ts:1:1',
          states: [],
        },
      ],
    },
  ],
  edges: [],
  guarantee: 'exactly-once',
})

export interface CandidateOptions {
  readonly id?: string
  readonly run?: number
  readonly slots?: number
  readonly job?: JobIdentity
  readonly plan?: ExecutionPlan
  readonly restore?: object
  readonly restart?: object
  readonly checkpoint?: object
  /** Called before each request to the store. */
  readonly watch?: (operation: MemoryOperation, key: string) => void
  readonly options?: Partial<JobManagerOptions>
}

/** A real JobManager with an election and a store that the test commands. */
export class Candidate {
  readonly jobManager: JobManager
  readonly faults: StoreFaults
  readonly elections: ScriptedElection[]
  readonly address: string

  constructor(of: Pick<Candidate, 'jobManager' | 'faults' | 'elections' | 'address'>) {
    this.jobManager = of.jobManager
    this.faults = of.faults
    this.elections = of.elections
    this.address = of.address
  }

  get election(): ScriptedElection {
    const election = this.elections.at(-1)
    if (election === undefined) throw new Error('This JobManager does not stand for the lease')
    return election
  }

  get master(): JobMaster {
    const { master } = this.jobManager
    if (master === undefined) throw new Error(`It does not lead: ${this.message}`)
    return master
  }

  get state(): string {
    return this.jobManager.facts().state
  }

  get message(): string {
    return this.jobManager.facts().message
  }

  operation(triggerId: string): OperationView | undefined {
    return this.jobManager.facts().operations.find((o) => o.triggerId === triggerId)
  }
}

function configOf({ job = JOB, id = 'jm-1', run = 1, slots = 1, ...given }: CandidateOptions) {
  const { restore, restart = {}, checkpoint = {} } = given
  return jobManagerConfig.parse({
    job,
    run,
    id,
    module: { path: 'job.ts' },
    expectedSlots: slots,
    tokenFile: 'token',
    storage: { type: 'file', root: '/job' },
    rpc: { host: '127.0.0.1', port: 0 },
    ...(restore === undefined ? {} : { restore }),
    restart,
    checkpoint,
  })
}

/**
 * JobManagers, scripted TaskManagers, a store and a network in one process, under one clock. Left
 * behind by `await using`, it is an error that a timer, connection, election or rejected promise of
 * them is.
 */
export class JobWorld implements AsyncDisposable {
  readonly clock = new WatchedClock()
  readonly transport = new MemoryTransport()
  readonly disk = new MemoryDisk(() => this.clock.now())
  /** Of the job's own storage. */
  readonly objects = this.disk.own
  readonly #candidates: Candidate[] = []
  readonly #taskManagers: ScriptedTaskManager[] = []
  readonly #rejections: unknown[] = []
  readonly #onRejection = (reason: unknown): void => void this.#rejections.push(reason)
  #seed = 1

  constructor() {
    process.on('unhandledRejection', this.#onRejection)
  }

  /** Of every candidate; a sequence of its own for each call. */
  readonly random = (): number => {
    this.#seed = (this.#seed * 1_103_515_245 + 12_345) % 2 ** 31
    return this.#seed / 2 ** 31
  }

  async candidate(given: CandidateOptions = {}): Promise<Candidate> {
    const { slots = 1, plan = planOf(slots) } = given
    const faults = new StoreFaults()
    const { watch } = given
    if (watch !== undefined) faults.watch(anything, watch)
    const elections: ScriptedElection[] = []
    const planned: PlannedJob = {
      plan,
      parallelism: slots,
      maxParallelism: 128,
      module: { name: 'job.ts', source: '', sha256: '', args: {} },
    }
    const jobManager = new JobManager({
      config: configOf(given),
      token: TOKEN,
      stores: this.disk.stores(faults),
      transport: this.transport,
      clock: this.clock,
      random: this.random,
      logger: silentLogger,
      openElection: () => {
        const election = new ScriptedElection()
        elections.push(election)
        return election
      },
      plan: () => Promise.resolve(planned),
      probe: () => Promise.resolve(),
      onChange: () => undefined,
      ...given.options,
    })
    const address = `127.0.0.1:${await jobManager.open()}`
    const candidate = new Candidate({ jobManager, faults, elections, address })
    this.#candidates.push(candidate)
    await this.settle()
    return candidate
  }

  /** A candidate that leads at once. */
  async leader(given: CandidateOptions = {}): Promise<Candidate> {
    const candidate = await this.candidate(given)
    candidate.election.win()
    await this.settle()
    return candidate
  }

  taskManager(id: string, given: { slots?: number; run?: number } = {}): ScriptedTaskManager {
    const { slots = 1, run = 1 } = given
    const { transport, clock } = this
    const taskManager = new ScriptedTaskManager({ id, slots, run, jobUid: JOB.uid, transport, clock })
    this.#taskManagers.push(taskManager)
    return taskManager
  }

  /** A TaskManager that is connected to every JobManager. */
  async joined(id: string, given: { slots?: number; run?: number } = {}): Promise<ScriptedTaskManager> {
    const taskManager = this.taskManager(id, given)
    for (const { address } of this.#candidates) taskManager.connect(address)
    await this.settle()
    return taskManager
  }

  /** A leader whose job runs on TaskManagers tm-1, tm-2 ... of one slot each. */
  async running(given: CandidateOptions = {}) {
    const leader = await this.leader(given)
    const taskManagers: ScriptedTaskManager[] = []
    for (let i = 1; i <= (given.slots ?? 1); i++) taskManagers.push(await this.joined(`tm-${i}`))
    await this.until('the job runs', () => leader.state === 'Running')
    return { leader, taskManagers, tm: taskManagers[0] as ScriptedTaskManager }
  }

  settle(): Promise<void> {
    return this.clock.runFor(0)
  }

  pass(ms: number): Promise<void> {
    return this.clock.runFor(ms)
  }

  /** Lets time pass until `check` holds. */
  async until(what: string, check: () => boolean, limitMs = 60_000): Promise<void> {
    const limit = this.clock.monotonic() + limitMs
    await this.clock.runUntil(limit, check)
    if (!check()) throw new Error(`Not within ${limitMs} ms: ${what}. ${this.#picture()}`)
  }

  #picture(): string {
    return this.#candidates.map((c) => `${c.jobManager.facts().state}: ${c.message}`).join('; ')
  }

  /** As a reader of the store sees it. */
  async log(): Promise<LogState> {
    const { clock, random } = this
    const { own: store } = this.disk.stores()
    return (await CommitLog.open({ store, clock, random, logger: silentLogger })).state
  }

  records(): readonly LogBody[] {
    return this.objects.list('log/').flatMap(({ key }) => {
      const bytes = this.objects.get(key)
      return key.includes('snap') || bytes === undefined
        ? []
        : [logRecord.parse(JSON.parse(Buffer.from(bytes).toString())).body]
    })
  }

  kinds(): readonly string[] {
    return this.records().map((r) => (r.kind === 'CLOSE' ? `CLOSE ${r.status}` : r.kind))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const taskManager of this.#taskManagers) taskManager.die()
    await Promise.all(this.#candidates.map(({ jobManager }) => jobManager.close()))
    await settled()
    await settled()
    process.off('unhandledRejection', this.#onRejection)
    const left = [
      ...this.#rejections.map((reason) => `unhandled rejection: ${String(reason)}`),
      ...this.clock.pending.map((at) => `timer set at ${at}`),
      ...this.transport.open.map((remote) => `connection with ${remote}`),
      ...this.#candidates
        .flatMap((c) => c.elections)
        .filter((e) => !e.closed)
        .map(() => 'election'),
    ]
    if (left.length > 0) throw new Error(`Left behind: ${left.join('\n')}`)
  }
}
