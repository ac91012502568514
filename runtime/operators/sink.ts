import { abortable } from '#runtime/base/abort'
import { JobFault } from '#runtime/base/job-fault'
import { retrying } from '#runtime/base/backoff'
import { WeirError } from '#runtime/base/errors'
import { notAPromise } from '#runtime/base/synchronous'
import { watchdog } from '#runtime/base/watchdog'
import type { CommitOutcome, Sink, SinkWriter, TransactionId } from '#runtime/connectors/sink'
import type { CheckpointId } from '#runtime/contract/ids'
import type { CommitPermit } from '#runtime/contract/rpc'
import { DATA_ADVICE, findNoData } from '#runtime/element/plain-data'
import { deepCopy } from '#runtime/state/deep-copy'
import {
  danglingTransactions,
  transactionsToCommit,
  transactionsToLeave,
  type PendingTransaction,
} from './restored-transactions.ts'
import type { OperatorContext, StreamOperator } from './stream-operator.ts'
import { userCodeError } from './user-code.ts'

/**
 * While restoring: the limit for one outside system, answers and retries together. Less than a
 * deployment may be without progress, so that the error says which system it was.
 */
const RESTORE_LIMIT_MS = 30_000

/** Time for one transaction, after which whoever commits it is taken to hang; the task fails. */
const COMMIT_ANSWER_MS = 300_000

/**
 * Two-phase commit around a SinkWriter, by the contract in connectors/sink.ts.
 * I1 At a barrier the writer's transaction is cut synchronously; the snapshot holds it and every
 *    older one that is not known to be committed.
 * I2 A transaction is committed only with a permit for its id or a later one, or because a restore
 *    point that this job continues holds it. Commits run one at a time, oldest first.
 * I3 The pending list is a union state: on restore every subtask sees all of it, commits its share,
 *    and one of them removes what is dangling.
 * I4 A failure that may pass is met in one place only: here while restoring; in the slot, by
 *    calling again, for permits; in the writer for prepare.
 */
export class SinkOperator<T, C> implements StreamOperator<T, never> {
  readonly #sink: Sink<T, C>
  #writer!: SinkWriter<T, C>
  #context!: OperatorContext<never>
  #transaction!: TransactionId
  #pending: PendingTransaction<C>[] = []
  /** The newest prepare; the next one starts its snapshot from what this one leaves. */
  #prepared: Promise<void> = Promise.resolve()
  #committing: Promise<void> = Promise.resolve()
  readonly #closing = new AbortController()

  constructor(sink: Sink<T, C>) {
    this.#sink = sink
  }

  /** @throws {WeirError} CKP_COMMIT_LOST, and what the writer throws for good. */
  async open(context: OperatorContext<never>): Promise<void> {
    this.#context = context
    this.#writer = this.#sink.createWriter(context)
    const { restored } = context.listState<PendingTransaction<C>>('pending', 'union', (id) =>
      this.#prepare(id),
    )
    this.#leave(transactionsToLeave(restored, context))
    await this.#commitRestored(transactionsToCommit(restored, context))
    if (context.subtask === 0) {
      const isDangling = danglingTransactions(restored, context)
      await this.#untilAnswered('removal of unfinished output', async () => {
        await this.#writer.recover?.(isDangling)
      })
    }
    this.#begin(0)
  }

  onRecord(value: T, timestamp: number): void {
    try {
      notAPromise(this.#writer.write(value, timestamp), 'write returned')
    } catch (cause) {
      throw userCodeError(this.#context, cause, { record: value })
    }
    this.#context.counters.written++
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
    this.#closing.abort()
    await this.#writer?.close()
  }

  #begin(after: number): void {
    const { job, uid, subtask, attempt } = this.#context
    this.#transaction = { job: job.uid, sink: uid, subtask, attempt, after }
    this.#writer.begin?.(this.#transaction)
  }

  /**
   * Cuts the transaction now; the answer comes when it is durable. What cannot be prepared is lost
   * with its records, so it fails the task.
   */
  async #prepare(checkpointId: CheckpointId): Promise<readonly PendingTransaction<C>[]> {
    try {
      await this.#cut(checkpointId)
    } catch (error) {
      this.#context.fail(error)
      throw error
    }
    return this.#pending.filter((p) => p.checkpointId <= checkpointId)
  }

  /** Cuts within the call, whatever the writer throws; resolves when what was cut is durable. */
  async #cut(checkpointId: CheckpointId): Promise<void> {
    const before = this.#prepared
    const transaction = this.#transaction
    const durable = (async () => this.#writer.prepare())()
    const prepared = (async () => {
      const [committable] = await Promise.all([durable, before])
      const noData = findNoData(committable)
      if (noData !== undefined)
        throw userCodeError(this.#context, new JobFault(`prepare gave ${noData}. ${DATA_ADVICE}`))
      if (committable !== undefined)
        this.#pending.push({ checkpointId, transaction, committable: deepCopy(committable) })
    })()
    this.#prepared = prepared
    try {
      this.#begin(checkpointId)
    } catch (error) {
      prepared.catch(() => undefined)
      throw error
    }
    return prepared
  }

  async #commitUpTo(checkpointId: CheckpointId): Promise<void> {
    for (;;) {
      const next = this.#pending.find((p) => p.checkpointId <= checkpointId)
      if (next === undefined) return
      const outcome = await this.#commit(next)
      if (outcome === 'consumed') this.#warn([next])
      this.#pending = this.#pending.filter((p) => p !== next)
    }
  }

  async #commitRestored(transactions: readonly PendingTransaction<C>[]): Promise<void> {
    const skipped: PendingTransaction<C>[] = []
    for (const pending of transactions) {
      const what = `commit of what checkpoint ${pending.checkpointId} holds`
      const outcome = await this.#untilAnswered(what, () => this.#commitIfThere(pending))
      if (outcome !== 'committed') skipped.push(pending)
      this.#context.progress()
    }
    if (skipped.length > 0) this.#warn(skipped)
  }

  /** Going back on purpose, a transaction that is gone is no loss: it was committed meanwhile. */
  async #commitIfThere(pending: PendingTransaction<C>): Promise<CommitOutcome> {
    try {
      return await this.#commit(pending)
    } catch (error) {
      const isGone = error instanceof WeirError && error.code === 'CKP_COMMIT_LOST'
      if (!isGone || this.#context.lineage !== 'rewind') throw error
      return 'consumed'
    }
  }

  async #commit({ checkpointId, committable }: PendingTransaction<C>): Promise<CommitOutcome> {
    const { clock, uid, counters } = this.#context
    const what = `Sink ${uid} did not answer to the commit of checkpoint ${checkpointId}`
    const commit = async (): Promise<CommitOutcome> => this.#writer.commit(committable)
    const deadline = watchdog(clock, COMMIT_ANSWER_MS, what)
    try {
      const outcome = await abortable(commit(), deadline.signal)
      if (outcome === 'committed') counters.committed++
      return outcome
    } finally {
      deadline.cancel()
    }
  }

  /** Only the job that prepared it publishes this output; the user may know that it is dead. */
  #leave(left: readonly PendingTransaction<C>[]): void {
    if (left.length === 0) return
    const { counters, logger } = this.#context
    counters.leftPending += left.length
    const shown = left.slice(0, 10).map(({ transaction, committable }) => ({ transaction, committable }))
    logger.warn(
      { count: left.length, transactions: shown },
      'another job prepared this output and will publish it; if it never runs again, publish it by hand',
    )
  }

  #warn(skipped: readonly PendingTransaction<C>[]): void {
    const { counters, logger, lineage } = this.#context
    counters.skippedCommits += skipped.length
    logger.warn(
      { lineage, count: skipped.length, transactions: skipped.slice(0, 10).map((p) => p.transaction) },
      'output that was committed before is gone: it is not committed again',
    )
  }

  async #untilAnswered<R>(what: string, work: () => Promise<R>): Promise<R> {
    const { clock, random, uid } = this.#context
    const { signal } = this.#closing
    const deadline = watchdog(clock, RESTORE_LIMIT_MS, `Sink ${uid} did not answer to the ${what}`)
    const timing = { limitMs: RESTORE_LIMIT_MS, initialMs: 50, maxMs: 2000, multiplier: 2, jitter: 0.2 }
    try {
      return await abortable(retrying(work, { what, clock, random, signal, ...timing }), deadline.signal)
    } finally {
      deadline.cancel()
    }
  }
}
