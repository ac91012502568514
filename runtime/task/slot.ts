import type { Clock, Timer } from '#runtime/base/clock'
import { WeirError, toErrorData } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { transferable } from '#runtime/base/bytes'
import { retrying } from '#runtime/base/backoff'
import type { Epoch } from '#runtime/contract/ids'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import { subtaskKey, type Barrier, type SubtaskRef } from '#runtime/contract/rpc'
import type { instantiate, VertexInstance } from '#runtime/graph/instantiate'
import type { CommitPermit } from '#runtime/contract/rpc'
import { userCodeError } from '#runtime/operators/user-code'
import type { ConnectorAccess } from '#runtime/storage/connector-access'
import { compareBarriers, type BarrierId } from './barrier-aligner.ts'
import { planChannels, type PlannedChannel } from './channel-plan.ts'
import { Exchange } from './exchange.ts'
import { InputGate } from './input-gate.ts'
import { OperatorChain, type ChainEnvironment } from './operator-chain.ts'
import { createEdgeOutput, type EdgeOutput } from './partitioned-output.ts'
import { SubtaskRestore } from '#runtime/restore/subtask-restore'
import type { ExchangeParcel, FromSlot, SlotAssignment } from './slot-messages.ts'
import type { EncodeState, SnapshotFailure, SubtaskSnapshot } from './subtask-snapshot.ts'
import { Task, type TaskEvents } from './task.ts'

/** How long a turn runs tasks before the thread's event loop (messages, I/O) gets its say. */
const TURN_MS = 2
/**
 * While a snapshot is being written it gets two thirds of the time, in slices short enough not to
 * be felt: the sooner it is done, the less there is to replay.
 */
const TURN_WHILE_SNAPSHOTTING_MS = 1
const SNAPSHOT_SLICE_MS = 2
const TICK_MS = 100
const COMMIT_LIMIT_MS = 60_000

export interface SlotOptions {
  readonly assignment: SlotAssignment
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly post: (message: FromSlot, transfer?: ArrayBuffer[]) => void
  /** Makes the vertices of the plan from the job's module. */
  readonly instantiate: typeof instantiate
  readonly encode: EncodeState
  /** What the job's connectors may reach. */
  readonly access: ConnectorAccess
}

/**
 * One slot: one subtask of each vertex placed here, run in turns on this thread. Whatever fails
 * fails the slot once; after that nothing runs.
 */
export class Slot implements TaskEvents {
  readonly #options: SlotOptions
  readonly #exchange: Exchange
  readonly #tasks: Task[] = []
  readonly #snapshots: { readonly task: Task; readonly snapshot: SubtaskSnapshot }[] = []
  readonly #commits = new Map<Task, Promise<void>>()
  #running = false
  #scheduled = false
  #failed = false
  #closed = false
  #ticking: Timer | undefined
  #firstRecordSeen = false

  constructor(options: SlotOptions) {
    this.#options = options
    const { deployment, taskManager, slot, siblings } = options.assignment
    const places = new Map(deployment.places.map((p) => [subtaskKey(p), p]))
    const placeOf = (ref: SubtaskRef) => {
      const place = places.get(subtaskKey(ref))
      if (place === undefined)
        throw new WeirError('BUG', `Deployment ${deployment.attempt} places no subtask ${subtaskKey(ref)}`)
      return place
    }
    const channels = planChannels(deployment.plan)
    const self = { taskManager, slot }
    this.#exchange = new Exchange({ channels, placeOf, self, siblings, post: options.post })
    for (const port of siblings.values()) port.on('message', (parcel: ExchangeParcel) => this.receive(parcel))
  }

  /**
   * Builds the tasks from the job module, restores and opens them. @throws {WeirError} what the
   * module, the plan or an operator says.
   */
  async open(): Promise<void> {
    const { deployment, taskManager, slot } = this.#options.assignment
    const own = deployment.places.filter((p) => p.taskManager === taskManager && p.slot === slot)
    const channels = planChannels(deployment.plan)
    const vertices = await this.#options.instantiate(
      deployment.module,
      { parallelism: deployment.parallelism, maxParallelism: deployment.plan.maxParallelism },
      deployment.planHash,
    )
    for (const place of own) {
      const vertex = vertices.get(place.vertex)
      if (vertex === undefined) throw new WeirError('BUG', `The plan has no vertex ${place.vertex}`)
      const ref = { vertex: place.vertex, subtask: place.subtask }
      this.#tasks.push(await this.#createTask(ref, vertex, channels))
      if (this.#closed) return
      this.#options.post({ type: 'opened' })
    }
  }

  start(): void {
    this.#running = true
    this.#tick()
    this.wake()
  }

  /** Nothing runs any more; operators release what they hold. */
  async close(): Promise<void> {
    this.#running = false
    this.#closed = true
    this.#ticking?.cancel()
    for (const task of this.#tasks)
      await task.chain
        .close()
        .catch((error: unknown) =>
          this.#options.logger.debug({ err: error, ...task.ref }, 'operator not closed'),
        )
  }

  receive(parcel: ExchangeParcel): void {
    this.#guard(() => this.#exchange.receive(parcel))
    this.wake()
  }

  trigger(barrier: Barrier): void {
    for (const task of this.#tasks) if (task.isSource) task.trigger(barrier)
  }

  /**
   * Permits are honoured in order, one at a time per task; a transient failure of the outside
   * system is tried again here and nowhere else.
   */
  complete(permit: CommitPermit): void {
    for (const task of this.#tasks) {
      const before = this.#commits.get(task) ?? Promise.resolve()
      const commit = before.then(() => this.#commit(task, permit))
      this.#commits.set(
        task,
        commit.catch((error: unknown) => this.#fail(error, task.ref)),
      )
    }
  }

  /** Gives up what was begun under lower epochs. */
  adopt(epoch: Epoch): void {
    for (const task of this.#tasks) task.abort({ epoch, id: 0 })
    for (const { snapshot } of this.#snapshots) if (snapshot.barrier.epoch < epoch) snapshot.cancel()
  }

  abort(barrier: BarrierId): void {
    for (const task of this.#tasks) task.abort(barrier)
    for (const { snapshot } of this.#snapshots)
      if (compareBarriers(snapshot.barrier, barrier) === 0) snapshot.cancel()
  }

  reportMetrics(): void {
    const subtasks = this.#tasks.map((t) => t.metrics())
    this.#options.post({ type: 'metrics', subtasks, waits: this.#tasks.flatMap((t) => t.waits()) })
  }

  wake(): void {
    if (this.#scheduled || !this.#running || this.#failed) return
    this.#scheduled = true
    this.#options.clock.soon(() => {
      this.#scheduled = false
      this.#guard(() => this.#turn())
    })
  }

  snapshotStarted(task: Task, snapshot: SubtaskSnapshot): void {
    this.#snapshots.push({ task, snapshot })
  }

  firstRecord(): void {
    if (this.#firstRecordSeen) return
    this.#firstRecordSeen = true
    this.#options.post({ type: 'firstRecord' })
  }

  /** With the final counts, so that what a short job did is known before it is gone. */
  finished(task: Task): void {
    this.reportMetrics()
    this.#options.post({ type: 'finished', subtask: task.ref })
  }

  async #createTask(
    ref: SubtaskRef,
    instance: VertexInstance,
    channels: readonly PlannedChannel[],
  ): Promise<Task> {
    const { deployment, job, restore, lineage } = this.#options.assignment
    const { maxParallelism } = deployment.plan
    const key = subtaskKey(ref)
    const outputs = this.#outputsOf(ref, instance, channels)
    const chain = new OperatorChain(
      { vertex: instance.vertex, create: instance.create, subtask: ref.subtask },
      (i) => outputs.filter((o) => o.fromOperator === i).map((o) => o.output),
    )
    const environment: ChainEnvironment = {
      job,
      subtask: ref.subtask,
      parallelism: instance.vertex.parallelism,
      restore: new SubtaskRestore(restore[key]),
      attempt: deployment.attempt,
      maxParallelism,
      clock: this.#options.clock,
      random: this.#options.random,
      logger: this.#options.logger.child({ vertex: ref.vertex }),
      access: this.#options.access,
      lineage,
      sinks: deployment.sinks,
      progress: () => this.#options.post({ type: 'opened' }),
      wake: () => this.wake(),
      fail: (error) => this.#fail(error, ref),
    }
    const inputs = channels.filter((c) => subtaskKey(c.to) === key).map((c) => this.#exchange.input(c.id))
    const monotonic = () => this.#options.clock.monotonic()
    const gate = inputs.length === 0 ? undefined : new InputGate(inputs, monotonic)
    const task = new Task({
      ref,
      chain,
      gate,
      outputs: outputs.map((o) => o.output),
      monotonic,
      events: this,
    })
    await chain.open(environment)
    return task
  }

  /** The ends of a subtask's outgoing edges, each with the operator of the chain that feeds it. */
  #outputsOf(
    ref: SubtaskRef,
    instance: VertexInstance,
    channels: readonly PlannedChannel[],
  ): { readonly fromOperator: number; readonly output: EdgeOutput }[] {
    const { plan } = this.#options.assignment.deployment
    return plan.edges
      .filter((edge) => edge.from === ref.vertex)
      .map((edge) => {
        const { partition, fromOperator } = edge
        const own = channels.filter((c) => c.edge === edge && c.from.subtask === ref.subtask)
        const hash = {
          keyOf: instance.keyOf(edge.id),
          maxParallelism: plan.maxParallelism,
          failed: keyFailure(plan, edge.to, ref),
        }
        const output = createEdgeOutput(
          partition === 'hash' ? { kind: partition, ...hash } : { kind: partition },
          own.map((c) => this.#exchange.output(c.id)),
        )
        return { fromOperator, output }
      })
  }

  #turn(): void {
    const deadline =
      this.#options.clock.monotonic() + (this.#snapshots.length > 0 ? TURN_WHILE_SNAPSHOTTING_MS : TURN_MS)
    let progressed: boolean
    do {
      progressed = false
      for (const task of this.#tasks) if (this.#stepOf(task)) progressed = true
    } while (progressed && !this.#failed && this.#options.clock.monotonic() < deadline)
    const snapshotting = this.#stepSnapshots()
    this.#exchange.flush()
    if (progressed || snapshotting) this.wake()
  }

  #stepOf(task: Task): boolean {
    if (this.#failed) return false
    try {
      return task.step() === 'progressed'
    } catch (error) {
      this.#fail(error, task.ref)
      return false
    }
  }

  /**
   * One slice of the oldest snapshot that still has something to encode; those that only wait for a
   * sink do not hold up the others.
   */
  #stepSnapshots(): boolean {
    if (this.#failed) return false
    let budgetMs = SNAPSHOT_SLICE_MS
    let more = false
    for (const active of this.#snapshots.splice(0)) {
      const { task, snapshot } = active
      if (snapshot.cancelled) continue
      if (snapshot.encoded || budgetMs > 0) {
        if (!snapshot.encoded) budgetMs = 0
        if (snapshot.step(SNAPSHOT_SLICE_MS)) {
          this.#answer(task, snapshot)
          continue
        }
      }
      if (!snapshot.encoded) more = true
      this.#snapshots.push(active)
    }
    return more
  }

  #answer(task: Task, snapshot: SubtaskSnapshot): void {
    const { barrier } = snapshot
    const refuse = (failure: SnapshotFailure) =>
      this.#options.post({ type: 'snapshotFailed', subtask: task.ref, barrier, ...failure })
    if (snapshot.failure !== undefined) return refuse(snapshot.failure)
    snapshot.finish(this.#options.encode).then(
      (encoded) => {
        const [keyed, lists] = [encoded.keyed, encoded.lists].map((bytes) =>
          bytes === undefined ? undefined : transferable(bytes),
        )
        this.#options.post(
          { type: 'snapshot', subtask: task.ref, ...encoded, keyed, lists },
          [keyed, lists].flatMap((bytes) => bytes?.buffer ?? []),
        )
      },
      (error: unknown) => refuse({ error: toErrorData(error), reason: 'CHECKPOINT_ASYNC_EXCEPTION' }),
    )
  }

  async #commit(task: Task, permit: CommitPermit): Promise<void> {
    await retrying(() => task.complete(permit), {
      what: `commit of checkpoint ${permit.checkpointId}`,
      limitMs: COMMIT_LIMIT_MS,
      clock: this.#options.clock,
      random: this.#options.random,
      initialMs: 50,
      maxMs: 2000,
      multiplier: 2,
      jitter: 0.2,
    })
    this.#options.post({ type: 'committed', subtask: task.ref, checkpointId: permit.checkpointId })
  }

  #tick(): void {
    this.#ticking = this.#options.clock.after(TICK_MS, () => {
      if (this.#failed) return
      for (const task of this.#tasks) this.#guard(() => task.tick(), task.ref)
      this.#exchange.flush()
      this.wake()
      this.#tick()
    })
  }

  #guard(work: () => void, ref?: SubtaskRef): void {
    try {
      work()
    } catch (error) {
      this.#fail(error, ref)
    }
  }

  #fail(error: unknown, subtask: SubtaskRef | undefined): void {
    if (this.#failed || this.#closed) return
    this.#failed = true
    this.#options.post({ type: 'failed', subtask, error: toErrorData(error) })
  }
}

/**
 * The key function belongs to the step behind the edge, and is called by who sends: it is named by
 * the step, and its place by the sender's subtask.
 */
function keyFailure(plan: ExecutionPlan, to: string, { vertex, subtask }: SubtaskRef) {
  const step = plan.vertices.find((v) => v.id === to)?.operators[0]
  const place = { uid: step?.uid ?? to, subtask: `${vertex}/${subtask}`, location: step?.location }
  return (cause: unknown, record: unknown): Error => userCodeError(place, cause, { record })
}
