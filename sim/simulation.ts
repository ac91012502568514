import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { LeaseNotice } from '#runtime/election/lease-loop'
import { parseLogKey } from '#runtime/storage/paths'
import type { Stores } from '#runtime/storage/stores'
import { Elections, SimDeployment, type DeploymentOptions } from './deployment.ts'
import { injectFaults } from './faults.ts'
import { errorOf, simLogger, type LogLine } from './logger.ts'
import { SimNetwork } from './network.ts'
import type { SimNode } from './node.ts'
import { Observer } from './observer.ts'
import { Oracle } from './oracle.ts'
import { Output } from './output.ts'
import type { RareState } from './rare-states.ts'
import { SimRedis } from './redis.ts'
import { playScenario } from './scenario.ts'
import { SimObjects, simStores, StoreWeather } from './store.ts'
import type { Surroundings } from './surroundings.ts'
import type { SlotWatch } from './threads.ts'
import { LEASE_TTL_MS } from './timing.ts'
import { Traps } from './traps.ts'
import { World } from './world.ts'

const FAULTS_UNTIL_MS = 4000
/** By then everything must have ended, whatever happened while there were faults. */
const LIMIT_MS = 240_000

export interface SimulationOptions {
  readonly seed: number
  readonly onTrace?: ((line: string) => void) | undefined
}

export interface SimulationResult {
  readonly seed: number
  readonly scenario: string
  readonly violations: readonly string[]
  readonly traceHash: string
  readonly virtualMs: number
  readonly reached: readonly (readonly [RareState, number])[]
}

/** One run of the whole system from one seed: the product's own processes in a simulated world. */
export class Simulation implements Surroundings {
  readonly world: World
  readonly network: SimNetwork
  readonly redis: SimRedis
  readonly elections = new Elections()
  readonly objects: SimObjects
  readonly weather: StoreWeather
  readonly oracle: Oracle
  readonly output: Output
  readonly traps = new Traps()
  readonly slotWatch: SlotWatch
  readonly #deployments: SimDeployment[] = []
  readonly #observers = new Map<SimNode, { readonly life: number; readonly observer: Observer }>()
  scenario = ''

  constructor(options: SimulationOptions) {
    const world = new World(options)
    this.world = world
    this.network = new SimNetwork(world)
    this.redis = new SimRedis(world, LEASE_TTL_MS)
    this.objects = new SimObjects(world)
    this.weather = new StoreWeather(world)
    this.oracle = new Oracle(world, this.objects)
    this.output = new Output(world)
    this.slotWatch = {
      toSlot: (node, assignment, message) => {
        this.oracle.toSlot(node, assignment, message)
        this.traps.pass(`slot ${message.type}`, node)
      },
      fromSlot: (node, _assignment, message) => void this.traps.pass(`slot ${message.type}`, node),
    }
    this.weather.fateOf = (node, operation, key, bytes) => {
      if (operation !== 'create' || bytes === undefined || !isLogRecord(key)) return 'normal'
      const text = Buffer.from(bytes).toString('latin1')
      const ending = /"end":"/.test(text) ? this.traps.pass('append ENDING', node) : undefined
      return ending ?? this.traps.pass(`append ${kindOf(text)}`, node) ?? 'normal'
    }
    this.network.onFrame = (from, to, frame) => this.#onFrame(from, to, frame)
  }

  async run(): Promise<Omit<SimulationResult, 'seed'>> {
    const { world } = this
    let ended = false
    injectFaults(this, FAULTS_UNTIL_MS)
    const playing = playScenario(this).then(
      () => {
        ended = true
      },
      (error: unknown) => {
        ended = true
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
        world.violate('simulation', text)
      },
    )
    await world.clock.runUntil(LIMIT_MS, () => ended || world.violations.length > 0)
    if (ended) await playing
    else if (world.violations.length === 0) world.violate('liveness', this.#whereItStands())
    const { violations, traceHash, coverage } = world
    const virtualMs = world.clock.monotonic()
    return { scenario: this.scenario, violations, traceHash, virtualMs, reached: coverage.all }
  }

  get nodes(): readonly SimNode[] {
    return this.#deployments.flatMap((d) => (d.isRetired ? [] : d.nodes))
  }
  get jobManagers(): readonly SimNode[] {
    return this.#deployments.flatMap((d) => (d.isRetired ? [] : d.jobManagers))
  }
  get taskManagers(): readonly SimNode[] {
    return this.#deployments.flatMap((d) => (d.isRetired ? [] : d.taskManagers))
  }

  deploy(options: DeploymentOptions): SimDeployment {
    const deployment = new SimDeployment(this, options)
    this.#deployments.push(deployment)
    this.oracle.job(options.job.uid).asked.set(options.run, options.restore?.path)
    const { name, run, parallelism, jobManagers, taskManagers, slots } = options
    this.world.tell(
      'operator',
      `run ${run} of ${name}: ${jobManagers} JobManagers, ${taskManagers} TaskManagers x ${slots} slots, parallelism ${parallelism}`,
    )
    deployment.start()
    return deployment
  }

  /** Resolves once `check` holds; looked at every few milliseconds. */
  async until(check: () => boolean): Promise<void> {
    while (!check()) await this.sleep(15)
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.clock.after(ms, resolve))
  }

  /** Everything that was broken on purpose is mended. */
  heal(): void {
    this.world.tell('operator', 'no more faults from here on')
    this.world.heal()
    this.traps.clear()
    this.network.heal()
    this.weather.heal()
    this.redis.blockedUntil = 0
    this.output.files.fullUntil = 0
  }

  /** Whatever becomes of a process of a run, another takes its place. */
  #replaceLater(node: SimNode): void {
    this.world.clock.after(this.world.random.between(10, 600), () => {
      const isWanted = this.#deployments.some((d) => !d.isRetired && d.nodes.includes(node))
      if (isWanted && !node.alive) node.start()
    })
  }

  /** As Kubernetes does with a pod that is told to go: it ends, and another takes its place. */
  async replace(node: SimNode): Promise<void> {
    if (node.alive && !node.isPaused) await node.terminate()
  }

  /** One of its slots with tasks never does anything again. */
  hangSlot(node: SimNode): void {
    for (const deployment of this.#deployments) deployment.hangSlot(node)
  }

  /** Another candidate holds the lease for a moment. */
  loseLease(): void {
    for (const { options } of this.#deployments) this.redis.giveAway(options.job.uid)
  }

  storesOf(node: SimNode, jobUid: string): Stores {
    return simStores(jobUid, node, this.objects, this.weather)
  }

  loggerOf(node: SimNode): Logger {
    return simLogger((line) => this.#onLine(node, line))
  }

  onFacts(): void {}

  onLeaseNotice(node: SimNode, notice: LeaseNotice): void {
    this.world.tell(node.name, `lease: ${notice}`)
    if (notice === 'retaken') this.world.coverage.reach('lease retaken')
  }

  died(node: SimNode): void {
    this.network.died(node)
    this.elections.died(node)
    this.#replaceLater(node)
  }

  /** What an orderly end must leave behind of a process: nothing. */
  checkEnded(node: SimNode): void {
    const { world } = this
    const leaks = [
      [this.network.connectionsOf(node), 'connections'],
      [this.elections.standing(node), 'elections'],
      [node.pendingTimers, 'timers'],
    ] as const
    for (const [count, what] of leaks)
      if (count > 0) world.violate('leak', `${node.name} ended and left ${count} ${what}`)
  }

  #observerOf(node: SimNode): Observer {
    const known = this.#observers.get(node)
    if (known !== undefined && known.life === node.life) return known.observer
    const observer = new Observer()
    this.#observers.set(node, { life: node.life, observer })
    return observer
  }

  #onLine(node: SimNode, line: LogLine): void {
    const { world } = this
    const error = errorOf(line)
    world.tell(node.name, textOf(line, error?.message))
    if (error?.code === 'BUG') world.violate('BUG', `${node.name}: ${line.message}: ${error.message}`)
    for (const state of this.#observerOf(node).read(line)) world.coverage.reach(state)
    if (line.message === 'job phase') this.traps.pass(`phase ${String(line.fields['phase'])}`, node)
    if (line.message === 'candidate') this.traps.pass(`candidate ${String(line.fields['to'])}`, node)
  }

  /** False: the sender died of a trap before the frame left. */
  #onFrame(from: SimNode, to: SimNode, frame: Uint8Array): boolean {
    if (this.jobManagers.includes(from) === this.jobManagers.includes(to)) return true
    const type = typeOf(frame)
    if (type === 'heartbeat') return true
    this.traps.pass(`send ${type}`, from)
    return from.alive
  }

  #whereItStands(): string {
    const stands = this.#deployments
      .filter((d) => !d.isRetired)
      .map((d) => `${d.options.name}: ${d.state ?? 'nobody answers'}, ${d.message}`)
    return `${this.scenario} did not end within ${LIMIT_MS} ms; ${stands.join('; ')}`
  }
}

/** The `type` of a control message: the first member of its msgpack map. */
function typeOf(frame: Uint8Array): string {
  const head = Buffer.from(frame.buffer, frame.byteOffset, Math.min(40, frame.byteLength)).toString('latin1')
  return /type[\xa0-\xbf]([A-Za-z]+)/.exec(head)?.[1] ?? '?'
}

const isLogRecord = (key: string): boolean => parseLogKey(key)?.kind === 'record'

const kindOf = (record: string): string => /"kind":"([A-Z_]+)"/.exec(record)?.[1] ?? '?'

function textOf({ message, fields, level }: LogLine, error: string | undefined): string {
  const shown = Object.entries(fields).flatMap(([name, value]) =>
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? [`${name}=${typeof value === 'number' ? Math.round(value * 1000) / 1000 : value}`]
      : [],
  )
  const mark = level === 'warn' || level === 'error' ? '! ' : ''
  return `${mark}${message}${shown.length === 0 ? '' : ` (${shown.join(', ')})`}${error === undefined ? '' : `: ${error}`}`
}

/** @throws {WeirError} BUG when something in the simulation itself is wrong. */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const simulation = new Simulation(options)
  const onRejection = (reason: unknown): void => {
    const text = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)
    simulation.world.violate('rejection', `nobody handles: ${text}`)
  }
  process.on('unhandledRejection', onRejection)
  try {
    return { seed: options.seed, ...(await simulation.run()) }
  } catch (error) {
    if (error instanceof WeirError) throw error
    throw new WeirError('BUG', `seed ${options.seed}: the simulation failed`, { cause: error })
  } finally {
    process.off('unhandledRejection', onRejection)
  }
}
