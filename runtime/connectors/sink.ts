/**
 * The contract of sinks: output in transactions that become visible with a checkpoint, or not at
 * all. Everything is called on the task's thread by operators/sink.ts, which keeps the rules about
 * checkpoints and restores for every sink; a writer only has to know how to store a transaction, to
 * publish it, and to find what it stored.
 *
 * A transaction is what one subtask writes between two barriers of one attempt. Its id
 * (TransactionId) is never used a second time, and whoever knows it can find what is stored for it.
 * What `prepare` returns (the committable) goes into the checkpoint, as JSON-like data, and must
 * say everything that `commit` needs: commit may be called by another process, on another machine,
 * in another version of the job, even in another job.
 *
 * Life of a writer, one per subtask and attempt:
 *   createWriter
 *   commit*    restored transactions, by the table below
 *   recover    in one of the subtasks only
 *   begin      the first transaction, then whenever one was prepared
 *   write*, flush*, isBusy*, prepare and commit* as records, barriers and permits come
 *   close      once, also after a failure, and also while a prepare is under way
 *
 * prepare
 *   Called at each barrier. What was written before the call belongs to the transaction, what is
 *   written after it to the next one: the cut is made before `prepare` returns its promise. It
 *   resolves once the transaction is stored so that `commit` will succeed whatever happens to this
 *   process; with undefined when nothing was written. When it rejects, the checkpoint is declined
 *   and the task fails, because the records cannot be had back: the job restarts from its last
 *   checkpoint and writes them again. So whatever the outside system may mend by itself is tried
 *   again by the writer, within a limit.
 *
 * commit
 *   Makes a prepared transaction visible, as a whole. Called once a CHECKPOINT record (or that of a
 *   savepoint that ends the run) in the commit log covers it; a savepoint beside a running job and
 *   an aborted checkpoint cover nothing, their transactions ride with the next checkpoint and are
 *   never rolled back. It may be repeated at any time, by any process, also by one that is no
 *   longer wanted, and also after somebody has taken the output away: it must not bring back what
 *   was visible before. Outcomes:
 *     'committed'      it is visible now, or it was found visible.
 *     'consumed'       it was committed before and its output has been taken away since: nothing is
 *                      left to do. Only with proof; it is warned of and counted.
 *     CKP_COMMIT_LOST  it is gone and there is no proof that it was ever visible.
 *     STO_UNAVAILABLE  (or any other WeirError with retry 'backoff') the caller tries again, within
 *                      a limit: the writer does not. What happened meanwhile is unknown.
 *     another throw    fails the job.
 *
 * Restored transactions. What happens to them depends on what the restore point is to this job
 * (`lineage`), and on what the log knows to be committed (`committedUpTo`):
 *     succession       committed, unless known to be: CKP_COMMIT_LOST fails the job for good.
 *     rewind           the same, but one that is gone is skipped: it was committed when the job
 *                      went on from here, or its records were written again and committed then.
 *     fork             left alone: neither committed nor removed, and not in the state of this job
 *                      from then on. They belong to the job that prepared them.
 *   Each is committed by one subtask, whatever the parallelism was.
 *
 * recover
 *   Removes what earlier attempts have left stored and nobody will ever commit. The writer lists
 *   what is stored under its names (`uid` and `formerly` of its context) and asks `isDangling` for
 *   each transaction; what is not dangling it does not touch, whoever it belongs to. Dangling are
 *   the transactions of this sink of this job, under whichever of its names, and of attempts before
 *   this one, except
 *   - the restored ones: another subtask may be about to commit them;
 *   - those that a savepoint in the log holds: one of the same attempt with an id above `after`
 *     holds the transaction, because the first barrier after `after` prepared it. So a completed
 *     savepoint stays restorable whatever becomes of its job.
 *   Rejecting with a WeirError of retry 'backoff' has it called again, within a limit; anything
 *   else fails the job.
 */
import type { ConnectorContext } from './connector-context.ts'

/** What a sink promises end to end; the plan shows it. */
export type DeliveryGuarantee = 'exactly-once' | 'at-least-once'

/** Names a transaction among all transactions of all jobs, for ever. */
export interface TransactionId {
  /** uid of the job. */
  readonly job: string
  /** uid of the sink's operator in it. */
  readonly sink: string
  readonly subtask: number
  /** `<epoch>.<n>`: the execution of the job. */
  readonly attempt: string
  /**
   * Id of the barrier that it was begun after, 0: none. There is one transaction between two
   * barriers, so with the attempt and the subtask this is unique.
   */
  readonly after: number
}

export interface Sink<T, C = any> {
  readonly description: string
  readonly guarantee: DeliveryGuarantee
  createWriter(context: SinkContext): SinkWriter<T, C>
}

export type SinkContext = ConnectorContext

export type CommitOutcome = 'committed' | 'consumed'

/** When each method is called, and what must hold: see the head of this file. */
export interface SinkWriter<T, C> {
  recover?(isDangling: (transaction: TransactionId) => boolean): void | Promise<void>
  /** What is written from now on belongs to `transaction`. A throw fails the task. */
  begin?(transaction: TransactionId): void
  /** A throw fails the task. */
  write(value: T, timestamp: number): void
  /** Called per batch; starts I/O in the background. */
  flush?(): void
  /**
   * True while the writer holds so much unwritten data that the task should not give it more; it
   * calls `context.wake` when that clears.
   */
  isBusy?(): boolean
  prepare(): Promise<C | undefined>
  /** Without an answer for five minutes the task fails: whoever commits is taken to hang. */
  commit(committable: C): Promise<CommitOutcome>
  /** Gives up what is not prepared, and releases what is held. What is prepared stays. */
  close(): void | Promise<void>
}
