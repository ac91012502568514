import type { BarrierId } from '#runtime/task/barrier-aligner'
import { byType } from '#runtime/base/by-type'
import { sleep, type Clock } from '#runtime/base/clock'
import { present, toErrorData, WeirError, type ErrorData } from '#runtime/base/errors'
import type { LogLevel, Logger } from '#runtime/base/logger'
import type { AttemptId, Epoch } from '#runtime/contract/ids'
import type { JobIdentity } from '#runtime/contract/job-options'
import type { S3Access } from '#runtime/contract/process-config'
import {
  subtaskKey,
  type Barrier,
  type CommitPermit,
  type DeclineReason,
  type DeployProgress,
  type Deployment,
  type ExecutionReport,
  type FromTaskManager,
  type SourceWait,
  type Standstill,
  type SubtaskMetrics,
  type SubtaskPlace,
  type SubtaskRef,
} from '#runtime/contract/rpc'
import { keyGroupRange } from '#runtime/element/key-group'
import { loadRestore } from '#runtime/restore/restore-loader'
import { openRestorePoint } from '#runtime/restore/restore-point'
import type { RestoreInput } from '#runtime/restore/subtask-restore'
import type { Stores } from '#runtime/storage/stores'
import { planChannels } from '#runtime/task/channel-plan'
import type { FromSlot, SlotAssignment, SlotPort, ToSlot } from '#runtime/task/slot-messages'
import type { DataPlane } from './data-plane.ts'
import { next, type ExecutionEvent, type ExecutionState, type Tell } from './execution-state.ts'
import type { SlotThread, SlotThreads } from './slot-threads.ts'
import { SlotWatch } from './slot-watch.ts'
import { StateUploader } from './state-uploader.ts'

export interface ExecutionOptions {
  readonly taskManager: string
  readonly job: JobIdentity
  readonly deployment: Deployment
  readonly stores: Stores
  readonly s3: S3Access | undefined
  readonly data: DataPlane
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly logLevel: LogLevel
  readonly threads: SlotThreads
  /** See StateUploader. */
  readonly inlineBytes?: number | undefined
  /** A thread that has not been deployed to yet. */
  takeThread(): SlotThread
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
const RESTORE_READ_LIMIT_MS = 60_000
const LINKS = 'links'

type MessageOf<T extends FromSlot['type']> = Extract<FromSlot, { type: T }>
type Listeners = { readonly [T in FromSlot['type']]: (message: MessageOf<T>, slot: number) => void }

/**
 * One attempt on this TaskManager: its slots' threads, its data connections, its uploads. Ends with
 * `cancel`, and then nothing of it is left.
 */
export class Execution {
  readonly attempt: AttemptId
  readonly #options: ExecutionOptions
  readonly #own: readonly SubtaskPlace[]
  readonly #slots: readonly number[]
  readonly #threads = new Map<number, SlotThread>()
  readonly #metrics = new Map<number, readonly SubtaskMetrics[]>()
  readonly #sourceWaits = new Map<number, readonly SourceWait[]>()
  readonly #abort = new AbortController()
  readonly #uploader: StateUploader
  readonly #watch: SlotWatch
  readonly #finished = new Map<string, SubtaskRef>()
  readonly #listeners: Listeners = {
    opened: () => this.#advance(0),
    ready: (_, slot) => this.#dispatch({ type: 'Ready', part: slotPart(slot) }),
    closed: () => undefined,
    failed: ({ subtask, error }) => this.#dispatch({ type: 'Fail', subtask, error }),
    firstRecord: () => this.#options.send({ type: 'firstRecord', attempt: this.attempt }),
    finished: ({ subtask }) => this.#onFinished(subtask),
    snapshot: (snapshot) => void this.#upload(snapshot),
    snapshotFailed: (snapshot) => this.#decline(snapshot, snapshot.error, snapshot.reason),
    committed: ({ subtask, checkpointId }) =>
      this.#options.send({ type: 'committed', attempt: this.attempt, subtask, checkpointId }),
    parcel: ({ taskManager, slot, parcel }) => this.#options.data.send(taskManager, slot, parcel),
    metrics: ({ subtasks, waits }, slot) => {
      this.#metrics.set(slot, subtasks)
      this.#sourceWaits.set(slot, waits)
      this.#watch.answered(slot)
    },
  }
  readonly #deployedAt: number
  #state: ExecutionState
  #progress: DeployProgress = { restoredBytes: 0, steps: 0 }
  #highestCheckpointId = 0
  #canceled: Promise<void> | undefined

  constructor(options: ExecutionOptions) {
    const { deployment, taskManager, stores, clock, random, logger, inlineBytes } = options
    this.#options = options
    this.attempt = deployment.attempt
    this.#own = deployment.places.filter((p) => p.taskManager === taskManager)
    this.#slots = [...new Set(this.#own.map((p) => p.slot))].sort((a, b) => a - b)
    this.#state = { kind: 'Deploying', missing: new Set([LINKS, ...this.#slots.map(slotPart)]) }
    this.#deployedAt = clock.monotonic()
    this.#watch = new SlotWatch({
      taskManager,
      clock,
      logger,
      onGivenUp: (subtask, error) => this.#dispatch({ type: 'Fail', subtask, error: toErrorData(error) }),
    })
    const { signal } = this.#abort
    this.#uploader = new StateUploader({
      store: stores.own,
      attempt: this.attempt,
      clock,
      random,
      signal,
      inlineBytes,
    })
  }

  get slotsUsed(): number {
    return this.#threads.size
  }

  /** While it is being deployed. */
  get progress(): DeployProgress | undefined {
    return this.#state.kind === 'Deploying' ? this.#progress : undefined
  }

  /** Restores, connects, opens everything; tells `deployed` or `deployFailed`. Never rejects. */
  async deploy(): Promise<void> {
    for (const slot of this.#slots) this.#threads.set(slot, this.#options.takeThread())
    try {
      await Promise.all([this.#connect(), this.#openSlots()])
    } catch (error) {
      this.#dispatch({ type: 'Fail', subtask: undefined, error: toErrorData(error) })
    }
  }

  start(): void {
    this.#dispatch({ type: 'Start' })
    this.#broadcast({ type: 'start' })
  }

  /** What a new leader needs to know to take this attempt over. */
  report(): ExecutionReport {
    const { kind } = this.#state
    const state = kind === 'Deployed' ? 'Deploying' : kind === 'Canceled' ? 'Failed' : kind
    const { planHash } = this.#options.deployment
    const highestCheckpointId = this.#highestCheckpointId
    return { attempt: this.attempt, planHash, places: this.#own, state, highestCheckpointId }
  }

  /** What happened since the report went to nobody: it is told again. */
  adopt(epoch: Epoch): void {
    const { attempt } = this
    const { send } = this.#options
    this.#broadcast({ type: 'adopt', epoch })
    for (const subtask of this.#finished.values()) send({ type: 'finished', attempt, subtask })
    if (this.#state.kind === 'Failed') {
      const { subtask, error } = this.#state
      send({ type: 'failed', attempt, subtask, error })
    }
  }

  trigger(barrier: Barrier): void {
    this.#highestCheckpointId = Math.max(this.#highestCheckpointId, barrier.id)
    if (barrier.stop) this.#dispatch({ type: 'StopBarrier' })
    this.#broadcast({ type: 'trigger', barrier })
  }

  complete(permit: CommitPermit): void {
    this.#broadcast({ type: 'complete', permit })
  }

  abort({ epoch, id }: BarrierId): void {
    this.#broadcast({ type: 'abort', epoch, checkpointId: id })
  }

  /** The newest metrics of every slot; asks for fresher ones. */
  metrics(): readonly SubtaskMetrics[] {
    // A slot that is being deployed has no metrics yet; it shows its progress otherwise.
    const { kind } = this.#state
    if (kind === 'Running' || kind === 'Stopped') this.#watch.asked(this.#threads)
    this.#broadcast({ type: 'metrics' })
    return [...this.#metrics.values()].flat()
  }

  /** What does not go on here. */
  get standstills(): readonly Standstill[] {
    const now = this.#options.clock.now()
    const sources = [...this.#sourceWaits.values()].flat().map(({ since, message }) => ({
      kind: 'source' as const,
      forMs: now - since,
      message,
    }))
    return [...this.#watch.standstills, ...this.#uploader.standstills, ...sources]
  }

  /** Idempotent; resolves when nothing of the attempt is left. */
  cancel(): Promise<void> {
    this.#canceled ??= this.#cancel()
    return this.#canceled
  }

  async #cancel(): Promise<void> {
    this.#dispatch({ type: 'Cancel' })
    this.#abort.abort(new WeirError('FENCED', `Attempt ${this.attempt} was cancelled`))
    this.#options.data.closeAttempt()
    await Promise.all([...this.#threads.values()].map((thread) => thread.terminate()))
    this.#threads.clear()
  }

  #broadcast(message: ToSlot): void {
    for (const thread of this.#threads.values()) thread.send(message)
  }

  #dispatch(event: ExecutionEvent): void {
    const { state, tell } = next(this.#state, event)
    this.#state = state
    if (tell !== undefined) this.#tell(tell)
  }

  #tell(what: Tell): void {
    const { attempt } = this
    const { send, clock, logger } = this.#options
    if (what === 'deployed')
      return send({ type: 'deployed', attempt, restoreMs: clock.monotonic() - this.#deployedAt })
    if (this.#state.kind !== 'Failed') return
    const { subtask, error } = this.#state
    logger.error({ ...subtask, error }, 'task failed')
    if (what === 'deployFailed') send({ type: 'deployFailed', attempt, error })
    else send({ type: 'failed', attempt, subtask, error })
  }

  #advance(restoredBytes: number): void {
    const { steps, restoredBytes: before } = this.#progress
    this.#progress = { steps: steps + 1, restoredBytes: before + restoredBytes }
  }

  async #openSlots(): Promise<void> {
    const restore = await this.#loadRestore()
    if (this.#abort.signal.aborted) return
    const ports = this.#options.threads.connect(this.#slots)
    for (const [slot, thread] of this.#threads)
      thread.deploy(
        this.#assignmentOf(slot, restore, present(ports.get(slot), `the ports of slot ${slot}`)),
        (message) => this.#fromSlot(slot, message),
      )
  }

  async #loadRestore(): Promise<Record<string, RestoreInput>> {
    const { deployment, stores, clock, random } = this.#options
    const point = await openRestorePoint(deployment.restore, stores)
    try {
      return await loadRestore(point, deployment, this.#own, {
        clock,
        random,
        signal: this.#abort.signal,
        limitMs: RESTORE_READ_LIMIT_MS,
        onRead: (sizeBytes) => this.#advance(sizeBytes),
      })
    } finally {
      await point?.close()
    }
  }

  #assignmentOf(
    slot: number,
    restore: Readonly<Record<string, RestoreInput>>,
    siblings: ReadonlyMap<number, SlotPort>,
  ): SlotAssignment {
    const { job, taskManager, logLevel, s3 } = this.#options
    const { restore: point, ...deployment } = this.#options.deployment
    const own = this.#own.filter((p) => p.slot === slot).map(subtaskKey)
    return {
      job,
      taskManager,
      slot,
      logLevel,
      s3,
      deployment,
      lineage: point.kind === 'savepoint' ? point.lineage : 'succession',
      restore: Object.fromEntries(
        own.flatMap((key) => (restore[key] === undefined ? [] : [[key, restore[key]]])),
      ),
      siblings,
    }
  }

  /** Dials every process that this one exchanges records or credits with. */
  async #connect(): Promise<void> {
    const { data } = this.#options
    await data.open(this.attempt, this.#peers(), {
      onParcel: (slot, parcel, buffer) => this.#threads.get(slot)?.send({ type: 'parcel', parcel }, [buffer]),
      onLost: (peer, error) => void this.#lostPeer(peer, error),
    })
    this.#advance(0)
    this.#dispatch({ type: 'Ready', part: LINKS })
  }

  #peers(): ReadonlyMap<string, string> {
    const { deployment, taskManager } = this.#options
    const places = new Map(deployment.places.map((p) => [subtaskKey(p), p.taskManager]))
    const peers = new Map<string, string>()
    for (const { from, to } of planChannels(deployment.plan)) {
      const ends = [places.get(subtaskKey(from)), places.get(subtaskKey(to))]
      if (!ends.includes(taskManager)) continue
      for (const peer of ends) {
        const other = present(peer, `the place of an end of ${subtaskKey(from)} to ${subtaskKey(to)}`)
        const address = deployment.dataAddresses[other]
        if (other !== taskManager) peers.set(other, present(address, `the data address of ${other}`))
      }
    }
    return peers
  }

  async #lostPeer(peer: string, error: Error | undefined): Promise<void> {
    const { clock, taskManager } = this.#options
    try {
      await sleep(clock, PEER_LOSS_GRACE_MS, this.#abort.signal)
    } catch {
      return
    }
    const why = error?.message ?? 'closed by the peer'
    const text = `TaskManager ${taskManager} lost the data connection with ${peer}: ${why}`
    this.#dispatch({ type: 'Fail', subtask: undefined, error: toErrorData(new WeirError('NET_LOST', text)) })
  }

  /** A message that cannot be dealt with fails the attempt, not the process. */
  #fromSlot(slot: number, message: FromSlot): void {
    if (this.#state.kind === 'Canceled') return
    try {
      byType(this.#listeners, message, slot)
    } catch (error) {
      this.#dispatch({ type: 'Fail', subtask: undefined, error: toErrorData(error) })
    }
  }

  #onFinished(subtask: SubtaskRef): void {
    const { send, metricsChanged } = this.#options
    this.#finished.set(subtaskKey(subtask), subtask)
    metricsChanged()
    send({ type: 'finished', attempt: this.attempt, subtask })
  }

  async #upload(snapshot: MessageOf<'snapshot'>): Promise<void> {
    const { plan } = this.#options.deployment
    const { vertex, subtask } = snapshot.subtask
    const planned = plan.vertices.find((v) => v.id === vertex)
    const { parallelism } = present(planned, `vertex ${vertex} in the plan`)
    const range = keyGroupRange(subtask, parallelism, plan.maxParallelism)
    try {
      const ack = await this.#uploader.upload(snapshot, [range.from, range.to])
      if (!this.#abort.signal.aborted) this.#options.send({ type: 'ack', ack })
    } catch (error) {
      this.#decline(snapshot, toErrorData(error), 'CHECKPOINT_ASYNC_EXCEPTION')
    }
  }

  #decline(
    { subtask, barrier }: { readonly subtask: SubtaskRef; readonly barrier: Barrier },
    error: ErrorData,
    reason: DeclineReason,
  ): void {
    if (this.#abort.signal.aborted) return
    const { logger, send } = this.#options
    const { epoch, id: checkpointId } = barrier
    logger.warn({ ...subtask, checkpointId, error }, 'snapshot failed')
    send({
      type: 'decline',
      decline: { ...subtask, attempt: this.attempt, epoch, checkpointId, reason, error },
    })
  }
}

const slotPart = (slot: number): string => `slot ${slot}`
