import type { Clock } from '#runtime/base/clock'
import { WeirError, toErrorData, type ErrorData } from '#runtime/base/errors'
import type { LogLevel, Logger } from '#runtime/base/logger'
import type { JobIdentity } from '#runtime/contract/job-options'
import type { S3Access } from '#runtime/contract/process-config'
import { subtaskKey } from '#runtime/contract/rpc'
import type {
  CommitPermit,
  Barrier,
  Deployment,
  ExecutionReport,
  FromTaskManager,
  SubtaskMetrics,
  SubtaskPlace,
  SubtaskRef,
} from '#runtime/contract/rpc'
import { openRestorePoint } from '#runtime/restore/restore-point'
import { keyGroupRange } from '#runtime/element/key-group'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { planChannels } from '#runtime/task/channel-plan'
import type { FromSlot, SlotAssignment, ToSlot } from '#runtime/task/slot-messages'
import type { DataPlane } from './data-plane.ts'
import { loadRestore } from '#runtime/restore/restore-loader'
import { siblingPorts, type SlotHost } from './slot-host.ts'
import { SnapshotKeeper } from './snapshot-keeper.ts'

export interface ExecutionOptions {
  readonly taskManager: string
  readonly job: JobIdentity
  readonly epoch: number
  readonly deployment: Deployment
  readonly store: CheckpointStore
  readonly s3: S3Access | undefined
  readonly data: DataPlane
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly logLevel: LogLevel
  /** A thread that has not been deployed to yet. */
  takeHost(): SlotHost
  /** Metrics worth sending before the next heartbeat. */
  metricsChanged(): void
  /** To the JobManager that deployed or adopted this attempt. */
  send(message: FromTaskManager): void
}

/**
 * A lost peer is reported only when the JobManager has not noticed by itself: it sees the dead
 * process's control connection close, which names the cause better.
 */
const PEER_LOSS_GRACE_MS = 1000

/**
 * One attempt on this TaskManager: its slots' threads, its data connections, its uploads. Ends with
 * `cancel`, and then nothing of it is left.
 */
export class Execution {
  readonly attempt: string
  #epoch: number
  readonly #options: ExecutionOptions
  readonly #own: readonly SubtaskPlace[]
  readonly #hosts = new Map<number, SlotHost>()
  readonly #metrics = new Map<number, readonly SubtaskMetrics[]>()
  readonly #abort = new AbortController()
  readonly #keeper: SnapshotKeeper
  #awaitingReady = 0
  #deployedAt = 0
  #linked = false
  #started = false
  #stopped = false
  #highestCheckpointId = 0
  readonly #finished = new Map<string, SubtaskRef>()
  #failure: { readonly subtask: SubtaskRef | undefined; readonly error: ErrorData } | undefined

  constructor(options: ExecutionOptions) {
    this.#options = options
    this.attempt = options.deployment.attempt
    this.#epoch = options.epoch
    this.#own = options.deployment.places.filter((p) => p.taskManager === options.taskManager)
    const { store, clock, random } = options
    this.#keeper = new SnapshotKeeper({
      store,
      attempt: this.attempt,
      clock,
      random,
      signal: this.#abort.signal,
    })
  }

  get epoch(): number {
    return this.#epoch
  }

  get slotsUsed(): number {
    return this.#hosts.size
  }

  /** Restores, connects and opens everything; answers `deployed` or `deployFailed`. */
  async deploy(): Promise<void> {
    this.#deployedAt = this.#options.clock.monotonic()
    try {
      const slots = [...new Set(this.#own.map((p) => p.slot))].sort((a, b) => a - b)
      for (const slot of slots) this.#hosts.set(slot, this.#options.takeHost())
      this.#awaitingReady = slots.length
      const connecting = this.#connect()
      const restore = await this.#loadRestore()
      if (this.#abort.signal.aborted) return void connecting.catch(() => {})
      const ports = siblingPorts(slots)
      const { restore: _, ...deployment } = this.#options.deployment
      for (const [slot, host] of this.#hosts) {
        const mine = this.#own.filter((p) => p.slot === slot).map((p) => `${p.vertex}/${p.subtask}`)
        const assignment: SlotAssignment = {
          job: this.#options.job,
          taskManager: this.#options.taskManager,
          slot,
          logLevel: this.#options.logLevel,
          s3: this.#options.s3,
          deployment,
          restore: Object.fromEntries(
            mine.flatMap((key) => (restore[key] === undefined ? [] : [[key, restore[key]]])),
          ),
          siblings: ports.get(slot) ?? new Map(),
        }
        host.deploy(assignment, (message) => this.#fromSlot(slot, message))
      }
      await connecting
      this.#linked = true
      this.#maybeDeployed()
    } catch (error) {
      this.#fail(undefined, toErrorData(error))
    }
  }

  start(): void {
    this.#started = true
    this.#broadcast({ type: 'start' })
  }

  /** What a new leader needs to know to go on with this attempt. */
  report(): ExecutionReport {
    return {
      attempt: this.attempt,
      planHash: this.#options.deployment.planHash,
      places: this.#own,
      isRunning: this.#started && !this.#stopped && this.#failure === undefined,
      highestCheckpointId: this.#highestCheckpointId,
    }
  }

  /** What happened since the report went to nobody: it is told again. */
  adopt(epoch: number): void {
    this.#epoch = epoch
    this.#broadcast({ type: 'adopt', epoch })
    const { attempt } = this
    for (const subtask of this.#finished.values()) this.#options.send({ type: 'finished', attempt, subtask })
    if (this.#failure !== undefined) this.#options.send({ type: 'failed', attempt, ...this.#failure })
  }

  trigger(barrier: Barrier): void {
    this.#highestCheckpointId = Math.max(this.#highestCheckpointId, barrier.id)
    this.#stopped ||= barrier.stop
    this.#broadcast({ type: 'trigger', barrier })
  }

  complete(permit: CommitPermit): void {
    this.#broadcast({ type: 'complete', permit })
  }

  abort(epoch: number, checkpointId: number): void {
    this.#broadcast({ type: 'abort', epoch, checkpointId })
  }

  /** The newest metrics of every slot; asks for fresher ones. */
  metrics(): readonly SubtaskMetrics[] {
    this.#broadcast({ type: 'metrics' })
    return [...this.#metrics.values()].flat()
  }

  async cancel(): Promise<void> {
    if (this.#abort.signal.aborted) return
    this.#abort.abort(new WeirError('FENCED', `Attempt ${this.attempt} was cancelled`))
    this.#options.data.closeAttempt()
    await Promise.all([...this.#hosts.values()].map((host) => host.terminate()))
    this.#hosts.clear()
  }

  #broadcast(message: ToSlot): void {
    for (const host of this.#hosts.values()) host.send(message)
  }

  async #loadRestore() {
    const { deployment, store, s3 } = this.#options
    const point = await openRestorePoint(deployment.restore, store, s3)
    try {
      return await loadRestore(point, deployment, this.#own)
    } finally {
      await point?.close()
    }
  }

  /** Dials every process that this one exchanges records or credits with. */
  async #connect(): Promise<void> {
    const { deployment, taskManager, data, clock } = this.#options
    const places = new Map(deployment.places.map((p) => [`${p.vertex}/${p.subtask}`, p.taskManager]))
    const peers = new Map<string, string>()
    for (const { from, to } of planChannels(deployment.plan)) {
      const a = places.get(`${from.vertex}/${from.subtask}`) as string
      const b = places.get(`${to.vertex}/${to.subtask}`) as string
      const peer = a === taskManager ? b : b === taskManager ? a : taskManager
      const address = deployment.dataAddresses[peer]
      if (peer !== taskManager && address !== undefined) peers.set(peer, address)
    }
    await data.open(this.attempt, peers, {
      onParcel: (slot, parcel, buffer) => this.#hosts.get(slot)?.send({ type: 'parcel', parcel }, [buffer]),
      onLost: (peer, error) => {
        clock.after(PEER_LOSS_GRACE_MS, () => {
          this.#fail(
            undefined,
            toErrorData(
              new WeirError(
                'NET_LOST',
                `TaskManager ${taskManager} lost the data connection with ${peer}: ${error?.message ?? 'closed by the peer'}`,
              ),
            ),
          )
        })
      },
    })
  }

  #fromSlot(slot: number, message: FromSlot): void {
    if (this.#abort.signal.aborted) return
    const { attempt } = this
    const { send, data } = this.#options
    switch (message.type) {
      case 'ready':
        this.#awaitingReady--
        return this.#maybeDeployed()
      case 'closed':
        return
      case 'failed':
        return this.#fail(message.subtask, message.error)
      case 'firstRecord':
        return send({ type: 'firstRecord', attempt })
      case 'finished':
        this.#finished.set(subtaskKey(message.subtask), message.subtask)
        this.#options.metricsChanged()
        return send({ type: 'finished', attempt, subtask: message.subtask })
      case 'snapshot':
        return void this.#keep(message)
      case 'snapshotFailed':
        return this.#decline(message.subtask, message.barrier, message.error, 'SINK_PREPARE_FAILED')
      case 'committed':
        return send({
          type: 'committed',
          attempt,
          subtask: message.subtask,
          checkpointId: message.checkpointId,
        })
      case 'parcel':
        return data.send(message.taskManager, message.slot, message.parcel)
      case 'metrics':
        this.#metrics.set(slot, message.subtasks)
        return
    }
  }

  #maybeDeployed(): void {
    if (this.#awaitingReady > 0 || !this.#linked || this.#failure !== undefined || this.#abort.signal.aborted)
      return
    this.#options.send({
      type: 'deployed',
      attempt: this.attempt,
      restoreMs: this.#options.clock.monotonic() - this.#deployedAt,
    })
  }

  async #keep(snapshot: Extract<FromSlot, { type: 'snapshot' }>): Promise<void> {
    const { deployment } = this.#options
    const vertex = deployment.plan.vertices.find((v) => v.id === snapshot.subtask.vertex)
    const range = keyGroupRange(
      snapshot.subtask.subtask,
      vertex?.parallelism ?? 1,
      deployment.plan.maxParallelism,
    )
    try {
      const ack = await this.#keeper.keep(snapshot, [range.from, range.to])
      if (!this.#abort.signal.aborted) this.#options.send({ type: 'ack', ack })
    } catch (error) {
      this.#decline(snapshot.subtask, snapshot.barrier, toErrorData(error), 'CHECKPOINT_ASYNC_EXCEPTION')
    }
  }

  #decline(
    subtask: SubtaskRef,
    barrier: Barrier,
    error: ErrorData,
    reason: 'CHECKPOINT_ASYNC_EXCEPTION' | 'SINK_PREPARE_FAILED',
  ): void {
    if (this.#abort.signal.aborted) return
    this.#options.logger.warn({ ...subtask, checkpointId: barrier.id, error }, 'snapshot failed')
    this.#options.send({
      type: 'decline',
      decline: {
        ...subtask,
        attempt: this.attempt,
        epoch: barrier.epoch,
        checkpointId: barrier.id,
        reason,
        error,
      },
    })
  }

  #fail(subtask: SubtaskRef | undefined, error: ErrorData): void {
    if (this.#failure !== undefined || this.#abort.signal.aborted) return
    this.#failure = { subtask, error }
    this.#options.logger.error({ ...subtask, error }, 'task failed')
    const { attempt } = this
    if (this.#linked && this.#awaitingReady === 0)
      this.#options.send({ type: 'failed', attempt, subtask, error })
    else this.#options.send({ type: 'deployFailed', attempt, error })
  }
}
