import type { ConnectorContext } from '#runtime/connectors/connector-context'
import type { Lineage } from '#runtime/contract/checkpoint-records'
import type { CommitPermit, SinkHistory } from '#runtime/contract/rpc'
import type { PollResult, Receiver } from '#runtime/element/receiver'
import type { StateEvolutions } from '#runtime/state/evolution'
import type { KeyedStateBackend } from '#runtime/state/keyed-state'

/**
 * A dataflow operator in one subtask. Everything is called on the task's thread, never
 * concurrently.
 *
 * Life: created by its factory in every slot -> `open` once (state is already restored) -> records,
 * watermarks, batch ends, barriers -> `onEnd` when its bounded input is exhausted (a MAX_WATERMARK
 * came before) -> `close` once, also after a failure.
 *
 * - `onRecord` is synchronous and does one record; it emits by `out.onRecord`. It must not await,
 *   log, or allocate more than its result.
 * - `onWatermark` must forward the watermark by `out.onWatermark` after emitting what it completes.
 *   Pass-through operators forward at once.
 * - `onBatchEnd` is called after each batch of input (or each poll) and a few times a second
 *   without any, for work done per batch or by the clock rather than per record. It may emit.
 * - A throw fails the task: the error is reported with the operator's uid as USR_FAILED unless it
 *   is a WeirError. Nothing emitted since the last checkpoint becomes visible through exactly-once
 *   sinks.
 * - At a barrier the task calls, in chain order, every state's snapshot function synchronously;
 *   promises they return delay the acknowledgement, not the records.
 * - `poll` makes an operator a producer (source discovery, split readers). It does a bounded slice
 *   (about 1 ms or 1,024 records), emits, and says: `progressed` (call again soon), `idle` (call
 *   again after `context.wake()`, or when input arrives), `done` (nothing will ever come again
 *   beyond new input). Only the first operator of a chain may poll.
 */
export interface StreamOperator<I = any, O = any> extends Receiver<I> {
  /** Its keyed state, by name; absent: it has none, or none that changes its shape. */
  readonly evolutions?: StateEvolutions
  open(context: OperatorContext<O>): void | Promise<void>
  onBatchEnd?(): void
  poll?(): PollResult
  /** Of an operator that polls: the records that it has emitted since the start. */
  readonly emitted?: number
  onEnd?(): void
  /**
   * True while the operator should be given no more input (a sink with too much unwritten data). It
   * calls `context.wake()` when that has changed.
   */
  isBusy?(): boolean
  /**
   * Every id <= `checkpointId` is in the log: sinks commit. Idempotent; may come late, repeated, or
   * only after a restore. The permit proves the log append.
   */
  onCheckpointComplete?(permit: CommitPermit): void | Promise<void>
  close?(): void | Promise<void>
}

export interface OperatorContext<O = any> extends ConnectorContext {
  /** Id of the checkpoint restored from; 0 = started empty. */
  readonly restoredFrom: number
  /** What the restored state is to this job. */
  readonly lineage: Lineage
  /**
   * While opening: a wait of its own has ended, so that who watches the deployment goes on waiting.
   */
  progress(): void
  /** `file:line:column` of the step in the job's module; undefined where it is not known. */
  readonly location: string | undefined
  /** What the log knows of earlier transactions. */
  readonly sinks: SinkHistory
  readonly out: Receiver<O>
  /** The operator's keyed state. Only for operators behind a keyBy. */
  readonly keyed: KeyedStateBackend
  /**
   * Operator state: `restored` are this subtask's items, `snapshot` is called at each barrier and
   * returns the items as of that barrier (the array must not change afterwards; a promise may
   * resolve later, its content as of the barrier). `split` deals items out on rescale, `union`
   * gives all items to everybody. Items: JSON-like data.
   */
  listState<T>(
    name: string,
    mode: 'split' | 'union',
    snapshot: (checkpointId: number) => readonly T[] | Promise<readonly T[]>,
  ): { readonly restored: readonly T[] }
}
