/**
 * A worker process: slots that run what a leading JobManager deploys. It decides nothing about
 * checkpoints.
 * I1 Commands of a lower epoch than the highest seen are refused, and the sender is told why.
 * I2 At most one execution at a time; the one before is gone (threads ended, connections closed)
 *    before the next starts.
 * I3 A leader that adopts is answered with what runs here, so that it never believes in tasks that
 *    were given up meanwhile.
 */
import type { Clock, Timer } from '#runtime/base/clock'
import { assertNever } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { AttemptId, Epoch } from '#runtime/contract/ids'
import type { TaskManagerConfig } from '#runtime/contract/process-config'
import type { Deployment, FromJobManager, FromTaskManager } from '#runtime/contract/rpc'
import { VERSION, WIRE_VERSION } from '#runtime/contract/version'
import type { Transport } from '#runtime/net/transport'
import type { Stores } from '#runtime/storage/stores'
import { s3AccessOf } from '#runtime/storage/storage-url'
import { DataPlane } from './data-plane.ts'
import { Execution } from './execution.ts'
import { LeaderLinks, type Link } from './leader-links.ts'
import type { SlotThread, SlotThreads } from './slot-threads.ts'

export interface TaskManagerTiming {
  readonly heartbeatMs: number
  /** For the job to be moved away from a TaskManager that leaves. */
  readonly leaveMs: number
  /** From the end of a deployment until threads for the next one are started. */
  readonly fillMs: number
}

const TIMING: TaskManagerTiming = { heartbeatMs: 500, leaveMs: 10_000, fillMs: 2000 }

export interface TaskManagerOptions {
  readonly config: TaskManagerConfig
  readonly token: string
  readonly stores: Stores
  readonly transport: Transport
  readonly threads: SlotThreads
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly timing?: TaskManagerTiming
  /** Files up to this size lie in the manifest; see StateUploader. */
  readonly inlineBytes?: number
}

export class TaskManager {
  readonly #options: TaskManagerOptions
  readonly #timing: TaskManagerTiming
  readonly #data: DataPlane
  readonly #links: LeaderLinks
  readonly #idleThreads: SlotThread[] = []
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
  #ended: Promise<void> | undefined

  constructor(options: TaskManagerOptions) {
    const { config, token, transport, clock, logger, timing = TIMING } = options
    const { id, job, data, jobManagers } = config
    this.#options = options
    this.#timing = timing
    const { host, port } = data
    this.#data = new DataPlane({ id, jobUid: job.uid, token, host, port, transport, clock, logger })
    this.#links = new LeaderLinks(jobManagers, {
      transport,
      clock,
      logger,
      hello: () => this.#hello(),
      onMessage: (link, message) => this.#handle(link, message),
      onLost: (link) => this.#lost(link),
    })
  }

  async open(): Promise<void> {
    const { config, logger } = this.#options
    const port = await this.#data.listen()
    this.#dataAddress = `${config.data.advertise}:${port}`
    this.#fillThreads()
    await this.#links.open()
    this.#beat()
    logger.info({ id: config.id, slots: config.slots, data: this.#dataAddress }, 'task manager started')
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
      const limit = this.#options.clock.after(this.#timing.leaveMs, resolve)
      await promise
      limit.cancel()
    }
    await this.close()
  }

  /** Idempotent; resolves when nothing is left. */
  close(): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  async #end(): Promise<void> {
    this.#closed = true
    this.#heartbeat?.cancel()
    this.#orphan?.cancel()
    this.#filling?.cancel()
    await this.#changing
    await this.#execution?.cancel()
    await Promise.all(this.#idleThreads.splice(0).map((thread) => thread.terminate()))
    this.#links.close()
    await this.#data.close()
    await this.#options.stores.own.close()
  }

  #hello(): FromTaskManager {
    const { config, token } = this.#options
    const { job, run, id, slots } = config
    const speaks = { wire: WIRE_VERSION, version: VERSION, token, jobUid: job.uid, run }
    return { type: 'hello', ...speaks, id, slots, dataAddress: this.#dataAddress }
  }

  #handle(link: Link, message: FromJobManager): void {
    if (message.epoch < this.#epoch && message.type !== 'welcome')
      return link.send({ type: 'fenced', epoch: this.#epoch })
    this.#epoch = Math.max(this.#epoch, message.epoch)
    switch (message.type) {
      case 'welcome':
        return message.leader ? this.#report(link, message.epoch) : undefined
      case 'deploy':
        return this.#change(() => this.#deploy(link, message.epoch, message.deployment))
      case 'cancel':
        return this.#change(() => this.#cancel(message.attempt, message.why))
      case 'adopt':
        return this.#adopt(link, message.epoch, this.#executionOf(message.attempt))
      default:
        return command(this.#executionOf(message.attempt), message)
    }
  }

  #executionOf(attempt: AttemptId): Execution | undefined {
    return this.#execution?.attempt === attempt ? this.#execution : undefined
  }

  #report(link: Link, epoch: Epoch): void {
    link.send({ type: 'execution', epoch, report: this.#execution?.report() })
  }

  /** Deployments and cancellations one after another. */
  #change(work: () => Promise<void>): void {
    this.#changing = this.#changing
      .then(work)
      .catch((error: unknown) => this.#options.logger.error({ err: error }, 'deployment failed'))
  }

  async #deploy(link: Link, epoch: Epoch, deployment: Deployment): Promise<void> {
    if (this.#closed || epoch < this.#epoch) return
    await this.#execution?.cancel()
    if (this.#closed) return
    this.#orphan?.cancel()
    this.#fillThreadsLater()
    this.#owner = link
    const { config, stores, clock, random, logger, threads } = this.#options
    const { attempt } = deployment
    const execution = new Execution({
      taskManager: config.id,
      job: config.job,
      deployment,
      stores,
      s3: s3AccessOf(config),
      data: this.#data,
      clock,
      random,
      logger: logger.child({ attempt }),
      logLevel: config.logLevel,
      threads,
      inlineBytes: this.#options.inlineBytes,
      takeThread: () => this.#idleThreads.pop() ?? threads.start(),
      metricsChanged: () => this.#sendHeartbeat(),
      send: (message) => this.#owner?.send(message),
    })
    this.#execution = execution
    logger.info({ attempt, restore: deployment.restore.kind }, 'deploying')
    void execution.deploy()
  }

  /** Another JobManager leads and takes over what runs here: no record notices. */
  #adopt(link: Link, epoch: Epoch, execution: Execution | undefined): void {
    if (execution !== undefined) {
      this.#orphan?.cancel()
      this.#owner = link
      execution.adopt(epoch)
      const { attempt } = execution
      this.#options.logger.info({ attempt, epoch, jobManager: link.address }, 'adopted by a new leader')
    }
    this.#report(link, epoch)
  }

  async #cancel(attempt: AttemptId, why: string): Promise<void> {
    if (this.#execution?.attempt !== attempt) return
    this.#options.logger.info({ attempt, why }, 'attempt cancelled')
    await this.#stopExecution()
  }

  async #stopExecution(): Promise<void> {
    const execution = this.#execution
    this.#execution = undefined
    this.#orphan?.cancel()
    await execution?.cancel()
    this.#relieved?.()
    this.#fillThreadsLater()
  }

  #lost(link: Link): void {
    if (link !== this.#owner) return
    // Nobody is left to move the job elsewhere: it is being deleted, or will be restored by its
    // next leader.
    this.#relieved?.()
    if (this.#execution === undefined || this.#closed) return
    const { config, clock, logger } = this.#options
    const { orphanTimeoutMs } = config
    logger.warn(
      { jobManager: link.address, orphanTimeoutMs },
      'job manager lost; running on until another one deploys',
    )
    this.#orphan?.cancel()
    this.#orphan = clock.after(orphanTimeoutMs, () => this.#change(() => this.#giveUp(link)))
  }

  async #giveUp(lost: Link): Promise<void> {
    if (this.#owner !== lost || this.#execution === undefined) return
    const { orphanTimeoutMs } = this.#options.config
    this.#options.logger.warn({ orphanTimeoutMs }, 'no job manager came back: sources and sinks stop')
    await this.#stopExecution()
  }

  #beat(): void {
    this.#heartbeat = this.#options.clock.after(this.#timing.heartbeatMs, () => {
      this.#sendHeartbeat()
      this.#beat()
    })
  }

  #sendHeartbeat(): void {
    const execution = this.#execution
    this.#links.broadcast({
      type: 'heartbeat',
      freeSlots: this.#options.config.slots - (execution?.slotsUsed ?? 0),
      attempt: execution?.attempt,
      progress: execution?.progress,
      subtasks: execution?.metrics() ?? [],
      standstills: execution?.standstills ?? [],
    })
  }

  /**
   * Not while a deployment wants the processor: the threads for the next one can wait until this
   * one runs.
   */
  #fillThreadsLater(): void {
    if (this.#closed) return
    this.#filling?.cancel()
    this.#filling = this.#options.clock.after(this.#timing.fillMs, () => this.#fillThreads())
  }

  /** Threads are started before they are needed, so that a recovery does not wait for them. */
  #fillThreads(): void {
    const { config, threads } = this.#options
    while (!this.#closed && this.#idleThreads.length < config.slots) this.#idleThreads.push(threads.start())
  }
}

type Command = Exclude<FromJobManager, { type: 'welcome' | 'deploy' | 'cancel' | 'adopt' }>

/** Commands of another attempt are dropped. */
function command(execution: Execution | undefined, message: Command): void {
  if (execution === undefined) return
  switch (message.type) {
    case 'start':
      return execution.start()
    case 'trigger':
      return execution.trigger(message.barrier)
    case 'complete':
      return execution.complete(message.permit)
    case 'abort':
      return execution.abort({ epoch: message.epoch, id: message.checkpointId })
    default:
      return assertNever(message)
  }
}
