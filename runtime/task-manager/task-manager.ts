import type { Clock, Timer } from '#runtime/base/clock'
import { assertNever } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { TaskManagerConfig } from '#runtime/contract/process-config'
import type { Deployment, FromJobManager, FromTaskManager } from '#runtime/contract/rpc'
import { VERSION, WIRE_VERSION } from '#runtime/contract/version'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { openStore } from '#runtime/storage/open-store'
import { s3AccessOf } from '#runtime/storage/storage-url'
import { DataPlane } from './data-plane.ts'
import { Execution } from './execution.ts'
import { LeaderLinks, type Link } from './leader-links.ts'
import { SlotHost } from './slot-host.ts'

const HEARTBEAT_MS = 500
const LEAVE_LIMIT_MS = 10_000
const FILL_DELAY_MS = 2000

/**
 * A worker process: slots that run what a leading JobManager deploys. It decides nothing about
 * checkpoints.
 * I1 Commands of a lower epoch than the highest seen are refused, and the sender is told why.
 * I2 At most one execution at a time; the one before is gone (threads ended, connections closed)
 *    before the next starts.
 */
export class TaskManager {
  readonly #config: TaskManagerConfig
  readonly #clock: Clock
  readonly #random: () => number
  readonly #logger: Logger
  readonly #token: string
  readonly #store: CheckpointStore
  readonly #data: DataPlane
  readonly #links: LeaderLinks
  readonly #idleHosts: SlotHost[] = []
  #dataAddress = ''
  #epoch = 0
  #execution: Execution | undefined
  #owner: Link | undefined
  #changing: Promise<void> = Promise.resolve()
  #heartbeat: Timer | undefined
  #orphan: Timer | undefined
  #filling: Timer | undefined
  #relieved: (() => void) | undefined
  #closed = false

  constructor(config: TaskManagerConfig, token: string, clock: Clock, random: () => number, logger: Logger) {
    this.#config = config
    this.#token = token
    this.#clock = clock
    this.#random = random
    this.#logger = logger
    this.#store = openStore(config.storage)
    this.#data = new DataPlane({
      id: config.id,
      jobUid: config.job.uid,
      token,
      host: config.data.host,
      port: config.data.port,
      logger,
    })
    this.#links = new LeaderLinks(config.jobManagers, clock, logger, {
      hello: () => this.#hello(),
      onMessage: (link, message) => this.#handle(link, message),
      onLost: (link) => this.#lost(link),
    })
  }

  async open(): Promise<void> {
    const port = await this.#data.listen()
    this.#dataAddress = `${this.#config.data.advertise}:${port}`
    this.#fillHosts()
    await this.#links.open()
    this.#beat()
    this.#logger.info(
      { id: this.#config.id, slots: this.#config.slots, data: this.#dataAddress },
      'task manager started',
    )
  }

  /**
   * Says that it leaves and works on until the JobManager has moved the job elsewhere, for a
   * limited time; then ends everything.
   */
  async leave(why: string): Promise<void> {
    if (this.#execution !== undefined && this.#relieved === undefined && this.#owner?.isUp === true) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#relieved = resolve
      this.#links.broadcast({ type: 'leaving', why })
      const limit = this.#clock.after(LEAVE_LIMIT_MS, resolve)
      await promise
      limit.cancel()
    }
    await this.close()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#heartbeat?.cancel()
    this.#orphan?.cancel()
    this.#filling?.cancel()
    await this.#execution?.cancel()
    await Promise.all(this.#idleHosts.map((host) => host.terminate()))
    this.#links.close()
    await this.#data.close()
    await this.#store.close()
  }

  #hello(): FromTaskManager {
    const { job, run, id, slots } = this.#config
    return {
      type: 'hello',
      wire: WIRE_VERSION,
      version: VERSION,
      token: this.#token,
      jobUid: job.uid,
      run,
      id,
      slots,
      dataAddress: this.#dataAddress,
    }
  }

  #handle(link: Link, message: FromJobManager): void {
    if (message.epoch < this.#epoch && message.type !== 'welcome')
      return link.send({ type: 'fenced', epoch: this.#epoch })
    this.#epoch = Math.max(this.#epoch, message.epoch)
    const current =
      'attempt' in message && message.attempt === this.#execution?.attempt ? this.#execution : undefined
    switch (message.type) {
      case 'welcome':
        if (message.leader)
          link.send({ type: 'execution', epoch: message.epoch, report: this.#execution?.report() })
        return
      case 'ping':
        return
      case 'deploy':
        return this.#change(() => this.#deploy(link, message.epoch, message.deployment))
      case 'start':
        return current?.start()
      case 'adopt':
        return this.#adopt(link, message.epoch, current)
      case 'cancel':
        return this.#change(() => this.#cancel(link, message.attempt, message.why))
      case 'trigger':
        return current?.trigger(message.barrier)
      case 'complete':
        return current?.complete(message.permit)
      case 'abort':
        return current?.abort(message.epoch, message.checkpointId)
      default:
        return assertNever(message)
    }
  }

  /** Deployments and cancellations one after another. */
  #change(work: () => Promise<void>): void {
    this.#changing = this.#changing
      .then(work)
      .catch((error: unknown) => this.#logger.error({ err: error }, 'deployment failed'))
  }

  async #deploy(link: Link, epoch: number, deployment: Deployment): Promise<void> {
    if (this.#closed || epoch < this.#epoch) return
    await this.#execution?.cancel()
    this.#orphan?.cancel()
    this.#fillHostsLater()
    this.#owner = link
    const execution = new Execution({
      taskManager: this.#config.id,
      job: this.#config.job,
      epoch,
      deployment,
      store: this.#store,
      s3: s3AccessOf(this.#config),
      data: this.#data,
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger.child({ attempt: deployment.attempt }),
      logLevel: this.#config.logLevel,
      takeHost: () => this.#idleHosts.pop() ?? new SlotHost(),
      metricsChanged: () => this.#sendHeartbeat(),
      send: (message) => this.#owner?.send(message),
    })
    this.#execution = execution
    this.#logger.info({ attempt: deployment.attempt, restore: deployment.restore.kind }, 'deploying')
    void execution.deploy()
  }

  /** Another JobManager leads and goes on with what runs here: no record notices. */
  #adopt(link: Link, epoch: number, execution: Execution | undefined): void {
    if (execution === undefined) return
    this.#orphan?.cancel()
    this.#owner = link
    execution.adopt(epoch)
    this.#logger.info(
      { attempt: execution.attempt, epoch, jobManager: link.address },
      'adopted by a new leader',
    )
  }

  async #cancel(link: Link, attempt: string, why: string): Promise<void> {
    if (this.#execution?.attempt === attempt) {
      this.#logger.info({ attempt, why }, 'attempt cancelled')
      await this.#stopExecution()
    }
    link.send({ type: 'canceled', attempt })
  }

  async #stopExecution(): Promise<void> {
    const execution = this.#execution
    this.#execution = undefined
    await execution?.cancel()
    this.#relieved?.()
    this.#fillHostsLater()
  }

  #lost(link: Link): void {
    // Nobody is left to move the job elsewhere: it is being deleted, or will be restored by its
    // next leader.
    if (link === this.#owner) this.#relieved?.()
    if (link !== this.#owner || this.#execution === undefined || this.#closed) return
    const { orphanTimeoutMs } = this.#config
    this.#logger.warn(
      { jobManager: link.address, orphanTimeoutMs },
      'job manager lost; running on until another one deploys',
    )
    this.#orphan?.cancel()
    this.#orphan = this.#clock.after(orphanTimeoutMs, () =>
      this.#change(async () => {
        this.#logger.warn({ orphanTimeoutMs }, 'no job manager came back: sources and sinks stop')
        await this.#stopExecution()
      }),
    )
  }

  #beat(): void {
    this.#heartbeat = this.#clock.after(HEARTBEAT_MS, () => {
      this.#sendHeartbeat()
      this.#beat()
    })
  }

  #sendHeartbeat(): void {
    const execution = this.#execution
    this.#links.broadcast({
      type: 'heartbeat',
      freeSlots: this.#config.slots - (execution?.slotsUsed ?? 0),
      attempt: execution?.attempt,
      subtasks: execution?.metrics() ?? [],
    })
  }

  /**
   * Not while a deployment wants the processor: the threads for the next one can wait until this
   * one runs.
   */
  #fillHostsLater(): void {
    this.#filling?.cancel()
    this.#filling = this.#clock.after(FILL_DELAY_MS, () => this.#fillHosts())
  }

  /** Threads are started before they are needed, so that a recovery does not wait for them. */
  #fillHosts(): void {
    while (!this.#closed && this.#idleHosts.length < this.#config.slots) this.#idleHosts.push(new SlotHost())
  }
}
