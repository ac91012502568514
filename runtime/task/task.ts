import { noCounts } from '#runtime/connectors/connector-context'
import type {
  Barrier,
  CommitPermit,
  SkippedCounts,
  SourceWait,
  SubtaskMetrics,
  SubtaskRef,
} from '#runtime/contract/rpc'
import type { StreamElement } from '#runtime/element/stream-element'
import { MAX_WATERMARK, MIN_WATERMARK } from '#runtime/element/receiver'
import { compareBarriers, type BarrierId } from './barrier-aligner.ts'
import type { InputGate } from './input-gate.ts'
import type { OperatorChain } from './operator-chain.ts'
import type { EdgeOutput } from './partitioned-output.ts'
import { ChainLengths, SubtaskSnapshot } from './subtask-snapshot.ts'

/** What a task tells the slot that runs it. */
export interface TaskEvents {
  snapshotStarted(task: Task, snapshot: SubtaskSnapshot): void
  firstRecord(): void
  finished(task: Task): void
  wake(): void
}

export interface TaskParts {
  readonly ref: SubtaskRef
  readonly chain: OperatorChain
  /** Undefined: the task is a source. */
  readonly gate: InputGate | undefined
  readonly outputs: readonly EdgeOutput[]
  /** Milliseconds. */
  readonly monotonic: () => number
  readonly events: TaskEvents
}

/**
 * progressed: call again soon; idle: nothing to do before a wake-up; backpressured: an output is
 * full.
 */
export type StepResult = 'progressed' | 'idle' | 'backpressured'

/** Steps with pending output before it is flushed although input keeps coming. */
const STEPS_PER_FLUSH = 16

/**
 * One subtask of one vertex: turns input into calls on its chain, one slice per step, on the slot's
 * thread.
 * I1 No input is taken while an output is blocked; so what is buffered is bounded by one slice's
 *    output.
 * I2 At a barrier: buffered output, then the barrier go downstream; then the state is frozen;
 *    nothing is processed in between.
 * I3 After the end of its input a task lives on and passes barriers, until the job's final
 *    checkpoint is complete.
 * I4 After a stop barrier nothing is read or emitted.
 */
export class Task {
  readonly ref: SubtaskRef
  readonly chain: OperatorChain
  readonly #gate: InputGate | undefined
  readonly #outputs: readonly EdgeOutput[]
  readonly #events: TaskEvents
  readonly #monotonic: () => number
  readonly #chains = new ChainLengths()
  #triggers: Barrier[] = []
  #stopped = false
  #inputEnded: boolean
  #pollDone = false
  #finished = false
  #pollTurn = false
  #unflushedSteps = 0
  #sawRecord = false
  #watermark = MIN_WATERMARK
  #recordsIn = 0
  #busyMs = 0
  #backPressuredSince: number | undefined
  #backPressuredMs = 0

  constructor({ ref, chain, gate, outputs, monotonic, events }: TaskParts) {
    this.ref = ref
    this.chain = chain
    this.#gate = gate
    this.#inputEnded = gate === undefined
    this.#outputs = outputs
    this.#monotonic = monotonic
    this.#events = events
  }

  get isSource(): boolean {
    return this.#gate === undefined
  }

  /** The coordinator's barrier, for a task without inputs. Taken at the next step. */
  trigger(barrier: Barrier): void {
    this.#triggers.push(barrier)
    this.#events.wake()
  }

  /**
   * Everything <= the permit's id is in the log. Resolves once this task's sinks have committed it.
   */
  async complete(permit: CommitPermit): Promise<void> {
    await this.chain.onCheckpointComplete(permit)
  }

  /** Nothing comes of this barrier and those before it. */
  abort(barrier: BarrierId): void {
    this.#triggers = this.#triggers.filter((b) => compareBarriers(b, barrier) > 0)
    this.#gate?.onAbort(barrier)
    this.#events.wake()
  }

  /** Timers, idleness and warnings, a few times a second. */
  tick(): void {
    this.chain.tick()
    if (this.#stopped || this.#finished) return
    this.#guard(() => this.chain.onBatchEnd())
    this.#flush()
  }

  step(): StepResult {
    const start = this.#monotonic()
    const result = this.#step()
    const now = this.#monotonic()
    if (result === 'backpressured') this.#backPressuredSince ??= start
    else if (this.#backPressuredSince !== undefined) {
      this.#backPressuredMs += start - this.#backPressuredSince
      this.#backPressuredSince = undefined
    }
    if (result === 'progressed') this.#busyMs += now - start
    return result
  }

  /** Counters since the last call for the times, since the start for records. */
  metrics(): SubtaskMetrics {
    const { emitted } = this.chain.head
    let sent = 0
    for (const output of this.#outputs) sent += output.sent
    let written = 0
    for (const { counters } of this.chain.operators) written += counters.written
    const metrics = {
      ...this.ref,
      recordsIn: emitted ?? this.#recordsIn,
      recordsOut: sent,
      recordsWritten: written,
      busyMs: this.#busyMs,
      backPressuredMs: this.#backPressuredMs,
      watermark: this.#watermark,
      ...this.#skipped(),
    }
    this.#busyMs = 0
    this.#backPressuredMs = 0
    return metrics
  }

  #skipped(): SkippedCounts {
    const total = noCounts()
    for (const { counters } of this.chain.operators) {
      total.lateDropped += counters.lateDropped
      total.badRecords += counters.badRecords
      total.skippedCommits += counters.skippedCommits
      total.leftPending += counters.leftPending
    }
    const { committed: _, waiting: _waiting, written: _written, ...skipped } = total
    return skipped
  }

  /** What its sources wait for. */
  waits(): readonly SourceWait[] {
    return this.chain.operators.flatMap(({ counters }) => counters.waiting ?? [])
  }

  #step(): StepResult {
    const trigger = this.#triggers.shift()
    if (trigger !== undefined) {
      this.#checkpoint(trigger, 0)
      return 'progressed'
    }
    if (this.#stopped) return 'idle'
    if (this.#isHeldUp()) return 'backpressured'
    const result = this.#slice()
    if (result === 'idle' || ++this.#unflushedSteps >= STEPS_PER_FLUSH) this.#flush()
    return result
  }

  /** I1: an output is full, or an operator (a sink) holds all that it may. */
  #isHeldUp(): boolean {
    for (const output of this.#outputs) if (output.isBlocked()) return true
    return this.chain.isBusy()
  }

  /** Input and polling in turns, so that a busy source never starves its barriers. */
  #slice(): 'progressed' | 'idle' {
    this.#pollTurn = !this.#pollTurn
    if (this.#pollTurn) return this.#poll() || this.#takeInput() ? 'progressed' : this.#maybeFinish()
    return this.#takeInput() || this.#poll() ? 'progressed' : this.#maybeFinish()
  }

  #poll(): boolean {
    const { head } = this.chain
    if (head.poll === undefined || this.#finished) return false
    const result = this.#guard(() => head.poll?.())
    this.#pollDone = result === 'done'
    if (result !== 'progressed') return false
    this.#guard(() => this.chain.onBatchEnd())
    if (this.#gate !== undefined) this.#record()
    return true
  }

  #takeInput(): boolean {
    const event = this.#gate?.take()
    if (event === undefined) return false
    switch (event.kind) {
      case 'batch':
        this.#batch(event.element)
        break
      case 'watermark':
        this.#watermark = event.watermark
        this.#guard(() => this.chain.head.onWatermark(event.watermark))
        break
      case 'idle':
        this.#guard(() => this.chain.head.onIdle?.())
        break
      case 'aligned':
        this.#checkpoint(event.barrier, event.alignmentMs)
        break
      case 'ended':
        this.#inputEnded = true
        break
      case 'absorbed':
        break
    }
    return true
  }

  #batch(batch: Extract<StreamElement, { kind: 'batch' }>): void {
    const { rows, timestamps, count } = batch
    const head = this.chain.head
    this.#recordsIn += count
    this.#record()
    this.#guard(() => {
      if (timestamps === undefined) for (let i = 0; i < count; i++) head.onRecord(rows[i], MIN_WATERMARK)
      else for (let i = 0; i < count; i++) head.onRecord(rows[i], timestamps[i] as number)
      this.chain.onBatchEnd()
    })
  }

  #checkpoint(barrier: Barrier, alignmentMs: number): void {
    if (barrier.drain && this.chain.head.poll !== undefined)
      this.#guard(() => this.chain.head.onWatermark(MAX_WATERMARK))
    for (const output of this.#outputs) output.barrier(barrier)
    this.#unflushedSteps = 0
    if (barrier.stop) this.#stopped = true
    const snapshot = this.#guard(
      () =>
        new SubtaskSnapshot({
          operators: this.chain.operators,
          barrier,
          alignmentMs,
          chains: this.#chains,
          monotonic: this.#monotonic,
          onListsReady: () => this.#events.wake(),
        }),
    )
    this.#events.snapshotStarted(this, snapshot)
  }

  #maybeFinish(): 'progressed' | 'idle' {
    if (this.#finished || !this.#inputEnded || (this.chain.head.poll !== undefined && !this.#pollDone))
      return 'idle'
    this.#finished = true
    this.#watermark = MAX_WATERMARK
    this.#guard(() => {
      this.chain.head.onWatermark(MAX_WATERMARK)
      this.chain.onEnd()
    })
    for (const output of this.#outputs) output.end()
    this.#events.finished(this)
    return 'progressed'
  }

  #flush(): void {
    this.#unflushedSteps = 0
    for (const output of this.#outputs) output.flush()
  }

  #record(): void {
    if (this.#sawRecord) return
    this.#sawRecord = true
    this.#events.firstRecord()
  }

  /**
   * Errors out of the chain name the chain's operators; an operator that is known better has named
   * itself already.
   */
  #guard<T>(work: () => T): T {
    try {
      return work()
    } catch (cause) {
      throw this.chain.failed(cause)
    }
  }
}
