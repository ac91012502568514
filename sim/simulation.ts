import { ExternalSystem } from './external-system.ts'
import { LEASE_TTL_MS } from './job.ts'
import type { Mutation } from './mutations.ts'
import { Network } from './network.ts'
import { Oracle } from './oracle.ts'
import { SimJobManager } from './sim-job-manager.ts'
import { SimRedis } from './sim-redis.ts'
import { SimObjects, SimStore } from './sim-store.ts'
import { SimTaskManager } from './sim-task-manager.ts'
import { placeSubtasks, type Surroundings } from './surroundings.ts'
import { injectFaults } from './faults.ts'
import { SimNode, World } from './world.ts'

const FAULTS_UNTIL_MS = 2500
const LIMIT_MS = 40_000

export interface SimulationOptions {
  readonly seed: number
  readonly mutation?: Mutation | undefined
  readonly onTrace?: (line: string) => void
}

export interface SimulationResult {
  readonly seed: number
  readonly violations: readonly string[]
  readonly traceHash: string
  readonly virtualMs: number
  readonly checkpoints: number
  readonly savepoints: number
  readonly deployments: number
  readonly epochs: number
  readonly adoptions: number
}

/** One run of the whole system from one seed. */
export class Simulation implements Surroundings {
  readonly world: World
  readonly network: Network
  readonly objects: SimObjects
  readonly oracle: Oracle
  readonly external: ExternalSystem
  readonly redis: SimRedis
  readonly jobManagers: readonly SimNode[]
  readonly taskManagers: readonly SimNode[]
  readonly places: Record<string, string>
  readonly recordsPerSource: readonly number[]
  readonly #reach = new Map<SimNode, { storeBlockedUntil: number }>()
  adoptions = 0

  constructor(options: SimulationOptions) {
    const world = new World(options)
    this.world = world
    this.network = new Network(world)
    this.objects = new SimObjects(world)
    this.recordsPerSource = [world.random.between(60, 180), world.random.between(60, 180)]
    this.oracle = new Oracle(world, this.objects, this.recordsPerSource)
    this.external = new ExternalSystem(this.oracle)
    this.redis = new SimRedis(world, LEASE_TTL_MS)
    const jobManagers = world.random.between(2, 3)
    this.jobManagers = Array.from(
      { length: jobManagers },
      (_, i) => new SimNode(world, `jm${i}`, (node) => new SimJobManager(this, node)),
    )
    this.taskManagers = [0, 1].map(
      (i) => new SimNode(world, `tm${i}`, (node) => new SimTaskManager(this, node)),
    )
    this.places = placeSubtasks(this.taskManagers)
    for (const jobManager of this.jobManagers)
      for (const taskManager of this.taskManagers) this.network.join(jobManager, taskManager)
    this.network.join(this.taskManagers[0] as SimNode, this.taskManagers[1] as SimNode)
  }

  get nodes(): readonly SimNode[] {
    return [...this.jobManagers, ...this.taskManagers]
  }
  node(name: string): SimNode {
    return this.nodes.find((node) => node.name === name) as SimNode
  }
  isJobManager(node: SimNode): boolean {
    return this.jobManagers.includes(node)
  }
  storeOf(node: SimNode): SimStore {
    return new SimStore(node, this.objects, this.reachOf(node))
  }
  reachOf(node: SimNode): { storeBlockedUntil: number } {
    const reach = this.#reach.get(node) ?? { storeBlockedUntil: 0 }
    this.#reach.set(node, reach)
    return reach
  }

  async run(): Promise<SimulationResult> {
    const { world, oracle } = this
    for (const node of this.nodes) node.start()
    injectFaults(this, FAULTS_UNTIL_MS)
    await world.clock.runUntil(LIMIT_MS, () => oracle.closed || world.violations.length > 0)
    if (world.violations.length === 0) {
      // Whatever is still under way must do no harm after the end.
      await world.clock.advance(3000)
      oracle.checkEnd()
    }
    return {
      seed: 0,
      violations: world.violations,
      traceHash: world.traceHash,
      virtualMs: world.clock.monotonic(),
      checkpoints: oracle.completed,
      savepoints: oracle.savepoints,
      deployments: oracle.deployments,
      epochs: oracle.epochs,
      adoptions: this.adoptions,
    }
  }
}

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const result = await new Simulation(options).run()
  return { ...result, seed: options.seed }
}
