import type { Sink, SinkWriter } from '#runtime/connectors/sink'
import type { CommitPermit } from '#runtime/contract/rpc'
import type { OperatorContext, StreamOperator } from './stream-operator.ts'

interface Pending<C> {
  readonly checkpointId: number
  readonly committable: C
}

/**
 * Two-phase commit around a SinkWriter.
 * I1 At a barrier the writer's transaction is cut synchronously; the snapshot holds it and every
 *    older one that is not known to be committed.
 * I2 A transaction is committed only with a permit for its id or a later one, or because the
 *    restore point holds it. Commits run one at a time, oldest first.
 * I3 A savepoint's transactions wait for the next permit, like those of an aborted checkpoint. The
 *    pending list is a union state: on restore every subtask sees all of them, commits its share,
 *    and knows which output is not dangling.
 */
export class SinkOperator<T, C> implements StreamOperator<T, never> {
  readonly #sink: Sink<T, C>
  #writer!: SinkWriter<T, C>
  #context!: OperatorContext<never>
  #pending: Pending<C>[] = []
  /** The newest prepare; the next one starts its snapshot from what this one leaves. */
  #prepared: Promise<void> = Promise.resolve()
  #committing: Promise<void> = Promise.resolve()

  constructor(sink: Sink<T, C>) {
    this.#sink = sink
  }

  async open(context: OperatorContext<never>): Promise<void> {
    this.#context = context
    this.#writer = this.#sink.createWriter(context)
    const { restored } = context.listState<Pending<C>>('pending', 'union', (id) => this.#prepare(id))
    const share = restored.filter((_, i) => i % context.parallelism === context.subtask)
    for (const { committable } of share) await this.#commit(committable)
    await this.#writer.recover(restored.map((p) => p.committable))
  }

  onRecord(value: T, timestamp: number): void {
    this.#writer.write(value, timestamp)
  }

  onWatermark(): void {}

  onBatchEnd(): void {
    this.#writer.flush?.()
  }

  isBusy(): boolean {
    return this.#writer.isBusy?.() ?? false
  }

  /**
   * Commits what the permit covers. @throws {WeirError} STO_UNAVAILABLE to be called again,
   * CKP_COMMIT_LOST
   */
  onCheckpointComplete(permit: CommitPermit): Promise<void> {
    const work = this.#committing.then(() => this.#commitUpTo(permit.checkpointId))
    this.#committing = work.catch(() => undefined)
    return work
  }

  async close(): Promise<void> {
    await this.#writer?.close()
  }

  /**
   * Cuts the transaction now; the answer comes when it is durable. What cannot be prepared is lost
   * with its records, so it fails the task.
   */
  async #prepare(checkpointId: number): Promise<readonly Pending<C>[]> {
    const before = this.#prepared
    const prepared = (async () => {
      const [committable] = await Promise.all([this.#writer.prepare(checkpointId), before])
      if (committable !== undefined) this.#pending.push({ checkpointId, committable })
    })()
    this.#prepared = prepared
    try {
      await prepared
    } catch (error) {
      this.#context.fail(error)
      throw error
    }
    return this.#pending.filter((p) => p.checkpointId <= checkpointId)
  }

  async #commitUpTo(checkpointId: number): Promise<void> {
    for (;;) {
      const next = this.#pending.find((p) => p.checkpointId <= checkpointId)
      if (next === undefined) return
      await this.#commit(next.committable)
      this.#pending = this.#pending.filter((p) => p !== next)
    }
  }

  async #commit(committable: C): Promise<void> {
    await this.#writer.commit(committable)
    this.#context.counters.committed++
  }
}
