/**
 * The whole system of one run: the product's own processes in a simulated world. simulate.ts makes
 * one per seed and bounds it; scenario.ts deploys and stops jobs in it as people and the operator
 * do; faults.ts and plots.ts break it by what it offers and by the traps that are passed here.
 */
import { messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { logRecord, type LogBody } from '#runtime/contract/checkpoint-records'
import type { LeaseNotice } from '#runtime/election/lease-loop'
import { decodeFromJobManager, decodeFromTaskManager } from '#runtime/net/messages'
import { parseLogKey } from '#runtime/storage/paths'
import type { Stores } from '#runtime/storage/stores'
import { SimDeployment, type DeploymentOptions } from './deployment.ts'
import { Elections } from './elections.ts'
import { MESSAGES } from './log-texts.ts'
import { errorOf, simLogger, type LogLine } from './logger.ts'
import { SimNetwork } from './network.ts'
import type { SimNode } from './node.ts'
import { Observer } from './observer.ts'
import { Oracle } from './oracle.ts'
import { Output } from './output.ts'
import { SimRedis } from './redis.ts'
import { SimObjects, simStores, StoreWeather } from './store.ts'
import type { Surroundings } from './surroundings.ts'
import type { SlotWatch } from './threads.ts'
import { LEASE_TTL_MS } from './timing.ts'
import { Traps } from './traps.ts'
import { World, type WorldOptions } from './world.ts'

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

  constructor(options: WorldOptions) {
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
      const body = this.#understood(node, () => bodyOf(bytes))
      if (body === undefined) return 'normal'
      // ENDING is not a record kind: a record of another kind that carries `end`.
      const ending =
        'end' in body && body.end !== undefined ? this.traps.pass('append ENDING', node) : undefined
      return ending ?? this.traps.pass(`append ${body.kind}`, node) ?? 'normal'
    }
    this.network.onFrame = (from, to, frame) => this.#onFrame(from, to, frame)
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
      `run ${run} of ${name}: ${jobManagers} JobManagers, ` +
        `${taskManagers} TaskManagers x ${slots} slots, parallelism ${parallelism}`,
    )
    deployment.start()
    return deployment
  }

  /**
   * Resolves once `check` holds; looked at every few milliseconds. Bounded by simulate's LIMIT_MS,
   * as the whole run is.
   */
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
  #startAgainLater(node: SimNode): void {
    this.world.clock.after(this.world.random.between(10, 600), () => {
      const isWanted = this.#deployments.some((d) => !d.isRetired && d.nodes.includes(node))
      if (isWanted && !node.alive) node.start()
    })
  }

  /** As Kubernetes tells a pod to go; once it has ended, another takes its place (see `died`). */
  async terminate(node: SimNode): Promise<void> {
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

  onLeaseNotice(node: SimNode, notice: LeaseNotice): void {
    this.world.tell(node.name, `lease: ${notice}`)
    if (notice === 'retaken') this.world.coverage.reach('lease retaken')
  }

  died(node: SimNode): void {
    this.network.died(node)
    this.elections.died(node)
    this.#startAgainLater(node)
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
    if (line.message === MESSAGES.jobPhase) this.traps.pass(`phase ${String(line.fields['phase'])}`, node)
    if (line.message === MESSAGES.candidate) this.traps.pass(`candidate ${String(line.fields['to'])}`, node)
  }

  /** False: the sender died of a trap before the frame left. */
  #onFrame(from: SimNode, to: SimNode, frame: Uint8Array): boolean {
    const { jobManagers } = this
    const isFromJobManager = jobManagers.includes(from)
    if (isFromJobManager === jobManagers.includes(to)) return true
    const decode = isFromJobManager ? decodeFromJobManager : decodeFromTaskManager
    const message = this.#understood(from, () => decode(frame))
    if (message === undefined || message.type === 'heartbeat') return true
    this.traps.pass(`send ${message.type}`, from)
    return from.alive
  }

  /** What a process writes or sends: traps would never spring at what cannot be read here. */
  #understood<T>(sender: SimNode, decode: () => T): T | undefined {
    try {
      return decode()
    } catch (error) {
      this.world.violate('simulation', `${sender.name} sends what cannot be read: ${messageOf(error)}`)
      return undefined
    }
  }

  /** The runs that are wanted, and what each says of itself. */
  get picture(): string {
    return this.#deployments
      .filter((d) => !d.isRetired)
      .map((d) => `${d.options.name}: ${d.state ?? 'nobody answers'}, ${d.message}`)
      .join('; ')
  }
}

const isLogRecord = (key: string): boolean => parseLogKey(key)?.kind === 'record'

const bodyOf = (bytes: Uint8Array): LogBody =>
  logRecord.parse(JSON.parse(Buffer.from(bytes).toString('utf8'))).body

function textOf({ message, fields, level }: LogLine, error: string | undefined): string {
  const shown = Object.entries(fields).flatMap(([name, value]) =>
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? [`${name}=${typeof value === 'number' ? Math.round(value * 1000) / 1000 : value}`]
      : [],
  )
  const mark = level === 'warn' || level === 'error' ? '! ' : ''
  const details = shown.length === 0 ? '' : ` (${shown.join(', ')})`
  return `${mark}${message}${details}${error === undefined ? '' : `: ${error}`}`
}
