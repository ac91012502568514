import type { JobIdentity, RestoreOptions } from '#runtime/contract/job-options'
import { jobManagerConfig, taskManagerConfig } from '#runtime/contract/process-config'
import type { JobState } from '#runtime/contract/rest'
import { LeaseLoop } from '#runtime/election/lease-loop'
import { buildPlan } from '#runtime/graph/execution-plan'
import { buildGraph, type JobDefinition } from '#runtime/graph/job-definition'
import { JobManager } from '#runtime/job-manager/job-manager'
import type { PlannedJob } from '#runtime/job-manager/plan-job'
import { TaskManager } from '#runtime/task-manager/task-manager'
import type { SimJobArgs } from './job.ts'
import { SimNode, type Process } from './node.ts'
import type { Surroundings } from './surroundings.ts'
import { SimThreads } from './threads.ts'
import {
  CHECKPOINT,
  INLINE_BYTES,
  JOB_MANAGER_TIMING,
  LEASE_TTL_MS,
  ORPHAN_MS,
  RESTART,
  TASK_MANAGER_TIMING,
} from './timing.ts'

export interface DeploymentOptions {
  /** Short, for the story: `a`. */
  readonly name: string
  readonly job: JobIdentity
  readonly run: number
  readonly definition: JobDefinition
  readonly args: SimJobArgs
  readonly parallelism: number
  readonly jobManagers: number
  readonly taskManagers: number
  readonly slots: number
  readonly restore: RestoreOptions | undefined
}

const TOKEN = 'the-token-of-a-simulated-job'
const RPC_PORT = 1
const MAX_PARALLELISM = 16

/** One run of one job: its JobManagers and TaskManagers, as an operator would make them. */
export class SimDeployment {
  readonly options: DeploymentOptions
  readonly jobManagers: readonly SimNode[]
  readonly taskManagers: readonly SimNode[]
  readonly #around: Surroundings
  readonly #running = new Map<SimNode, JobManager>()
  readonly #threads = new Map<SimNode, SimThreads>()
  readonly #planned: PlannedJob
  /** The operator takes it away; nothing of it is started again. */
  isRetired = false

  constructor(around: Surroundings, options: DeploymentOptions) {
    this.#around = around
    this.options = options
    this.#planned = plan(options)
    const node = (kind: string, i: number, boot: (node: SimNode) => Process): SimNode =>
      new SimNode(around.world, {
        name: `${options.name}${options.run}-${kind}${i}`,
        boot,
        onEnded: (ended) => around.checkEnded(ended),
        onDeath: (dead) => {
          this.#running.delete(dead)
          around.died(dead)
        },
      })
    this.jobManagers = Array.from({ length: options.jobManagers }, (_, i) =>
      node('jm', i, (self) => this.#bootJobManager(self)),
    )
    this.taskManagers = Array.from({ length: options.taskManagers }, (_, i) =>
      node('tm', i, (self) => this.#bootTaskManager(self)),
    )
  }

  get nodes(): readonly SimNode[] {
    return [...this.jobManagers, ...this.taskManagers]
  }

  start(): void {
    for (const node of this.nodes) node.start()
  }

  hangSlot(node: SimNode): void {
    if (node.alive) this.#threads.get(node)?.hangOne()
  }

  /** SIGTERM to all. */
  async terminate(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.terminate()))
  }

  /** The JobManager that leads and can be asked; undefined while there is none. */
  get leader(): JobManager | undefined {
    for (const [node, jobManager] of this.#running)
      if (!node.isPaused && jobManager.master !== undefined) return jobManager
    return undefined
  }

  /** As the leader says, or who knows that the run is over; undefined when nobody answers. */
  get state(): JobState | undefined {
    const answering = [...this.#running]
      .filter(([node]) => !node.isPaused)
      .map(([, jobManager]) => jobManager)
    const leader = answering.find((jobManager) => jobManager.master !== undefined)?.master
    if (leader !== undefined) return leader.view().state
    const states = answering.map((jobManager) => jobManager.facts().state)
    return states.find((state) => isFinal(state)) ?? states[0]
  }

  get hasEnded(): boolean {
    const { state } = this
    return state !== undefined && isFinal(state)
  }

  /** In words, for the story. */
  get message(): string {
    return [...this.#running.values()].map((jobManager) => jobManager.facts().message).join(' | ')
  }

  #bootJobManager(node: SimNode): Process {
    const { world, network, redis } = this.#around
    const { job, run, parallelism, taskManagers, slots, restore } = this.options
    const jobManager = new JobManager({
      config: jobManagerConfig.parse({
        job,
        tokenFile: '-',
        storage: { type: 'file', root: '-' },
        run,
        id: node.name,
        module: { path: '-' },
        parallelism,
        maxParallelism: MAX_PARALLELISM,
        expectedSlots: taskManagers * slots,
        checkpoint: CHECKPOINT,
        restart: RESTART,
        ...(restore === undefined ? {} : { restore }),
        rpc: { host: node.name, port: RPC_PORT },
      }),
      token: TOKEN,
      stores: this.#around.storesOf(node, job.uid),
      transport: network.transportOf(node),
      clock: node.clock(),
      random: world.random.fork().next,
      logger: this.#around.loggerOf(node),
      timing: JOB_MANAGER_TIMING,
      openElection: () =>
        this.#around.elections.watch(
          node,
          (token) =>
            new LeaseLoop({
              store: redis.clientOf(node, job.uid),
              clock: node.clock(),
              random: world.random.fork().next,
              ttlMs: LEASE_TTL_MS,
              token,
              onNotice: (notice) => this.#around.onLeaseNotice(node, notice),
            }),
        ),
      plan: () => Promise.resolve(this.#planned),
      probe: () => Promise.resolve(),
      onChange: () => undefined,
    })
    this.#running.set(node, jobManager)
    void jobManager.open()
    return { terminate: () => jobManager.close() }
  }

  #bootTaskManager(node: SimNode): Process {
    const { world, network } = this.#around
    const { job, run, slots, definition } = this.options
    const logger = this.#around.loggerOf(node)
    const threads = new SimThreads({
      node,
      logger,
      job: definition,
      watch: this.#around.slotWatch,
      accessOf: (caller) => this.#around.output.accessOf(caller),
    })
    this.#threads.set(node, threads)
    const taskManager = new TaskManager({
      config: taskManagerConfig.parse({
        job,
        tokenFile: '-',
        storage: { type: 'file', root: '-' },
        run,
        id: node.name,
        slots,
        jobManagers: this.jobManagers.map((jm) => `${jm.name}:${RPC_PORT}`),
        data: { host: node.name, port: 0, advertise: node.name },
        orphanTimeoutMs: ORPHAN_MS,
      }),
      token: TOKEN,
      stores: this.#around.storesOf(node, job.uid),
      transport: network.transportOf(node),
      threads,
      clock: node.clock(),
      random: world.random.fork().next,
      logger,
      timing: TASK_MANAGER_TIMING,
      inlineBytes: INLINE_BYTES,
    })
    void taskManager.open()
    return {
      terminate: async () => {
        await taskManager.leave('SIGTERM')
        if (threads.alive > 0) world.violate('leak', `${node.name} ended with ${threads.alive} slot threads`)
      },
    }
  }
}

const FINAL_STATES: ReadonlySet<JobState> = new Set(['Finished', 'Suspended', 'Drained', 'Failed'])
const isFinal = (state: JobState): boolean => FINAL_STATES.has(state)

function plan({ definition, args, parallelism, run }: DeploymentOptions): PlannedJob {
  const graph = buildGraph(definition, { ...args, run })
  const module = { sha256: '', name: 'simulated', source: '', args: { ...args, run } }
  const options = { parallelism, maxParallelism: MAX_PARALLELISM }
  return { plan: buildPlan(graph, options), module, ...options }
}
