/**
 * What becomes of the transactions that a sink finds in restored state, and of those that it does
 * not find: the rules of connectors/sink.ts, as data. Pure.
 */
import type { TransactionId } from '#runtime/connectors/sink'
import type { AttemptId, CheckpointId } from '#runtime/contract/ids'
import type { OperatorContext } from './stream-operator.ts'

/** A transaction that is not known to be committed, as stored in checkpoints. */
export interface PendingTransaction<C> {
  /** The barrier that prepared it. */
  readonly checkpointId: CheckpointId
  readonly transaction: TransactionId
  readonly committable: C
}

type Place = Pick<
  OperatorContext,
  'job' | 'uid' | 'formerly' | 'subtask' | 'parallelism' | 'attempt' | 'lineage' | 'sinks'
>

/** The restored transactions that this subtask has to commit, oldest first within a subtask. */
export function transactionsToCommit<C>(
  restored: readonly PendingTransaction<C>[],
  { lineage, sinks, subtask, parallelism }: Place,
): PendingTransaction<C>[] {
  if (lineage === 'fork') return []
  return restored
    .filter(({ checkpointId }) => checkpointId > sinks.committedUpTo)
    .filter((_, i) => i % parallelism === subtask)
}

/** This subtask's share of the transactions that belong to the job that this one is a fork of. */
export function transactionsToLeave<C>(
  restored: readonly PendingTransaction<C>[],
  { lineage, subtask, parallelism }: Place,
): PendingTransaction<C>[] {
  return lineage === 'fork' ? restored.filter((_, i) => i % parallelism === subtask) : []
}

/** Tells which transactions nobody will ever commit. */
export function danglingTransactions(
  restored: readonly PendingTransaction<unknown>[],
  { job, uid, formerly, attempt, sinks }: Place,
): (transaction: TransactionId) => boolean {
  const names = new Set([uid, ...formerly])
  const kept = new Set(restored.map(({ transaction }) => keyOf(transaction)))
  return (transaction) =>
    transaction.job === job.uid &&
    names.has(transaction.sink) &&
    isBefore(transaction.attempt, attempt) &&
    !kept.has(keyOf(transaction)) &&
    !sinks.savepoints.some((s) => s.attempt === transaction.attempt && s.id > transaction.after)
}

const keyOf = ({ job, sink, subtask, attempt, after }: TransactionId): string =>
  JSON.stringify([job, sink, subtask, attempt, after])

function isBefore(attempt: AttemptId, other: string): boolean {
  const [epoch = 0, n = 0] = attempt.split('.').map(Number)
  const [otherEpoch = 0, otherN = 0] = other.split('.').map(Number)
  return epoch < otherEpoch || (epoch === otherEpoch && n < otherN)
}
