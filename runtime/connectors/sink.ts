import type { ConnectorContext } from './connector-context.ts'

/** What a sink promises end to end; the plan shows it. */
export type DeliveryGuarantee = 'exactly-once' | 'at-least-once'

/**
 * A sink. `write` on each record; at each barrier `prepare` closes the current transaction and
 * returns what `commit` needs to make it visible, to be stored in the checkpoint; after the log
 * append `commit` is called for it, perhaps repeatedly, perhaps by another process after a restore:
 * it is idempotent. A prepared transaction is never rolled back by an aborted checkpoint: it rides
 * with the next id. After a restore, `recover` is called once with every restored transaction
 * already committed: the sink then removes dangling uncommitted output of older attempts of this
 * job.
 *
 * `commit` throws CKP_COMMIT_LOST when the transaction can never be committed (expired, deleted),
 * STO_UNAVAILABLE to be tried again.
 */
export interface Sink<T, C = any> {
  readonly description: string
  readonly guarantee: DeliveryGuarantee
  createWriter(context: SinkContext): SinkWriter<T, C>
}

export type SinkContext = ConnectorContext

export interface SinkWriter<T, C> {
  /**
   * Before the first record, after this subtask's share of the restored transactions was committed.
   * `restored` are those of all subtasks: another subtask may be about to commit one of them, so
   * they are not dangling. `attempt` of the context is this execution's.
   */
  recover(restored: readonly C[]): void | Promise<void>
  write(value: T, timestamp: number): void
  /** Called per batch; starts I/O in the background. */
  flush?(): void
  /**
   * True while the writer holds so much unwritten data that the task should not give it more; it
   * calls `context.wake` when that clears.
   */
  isBusy?(): boolean
  /**
   * Closes the current transaction (synchronously cut) and resolves with its committable once
   * everything is durable; undefined when nothing was written.
   */
  prepare(checkpointId: number): Promise<C | undefined>
  commit(committable: C): Promise<void>
  close(): void | Promise<void>
}
