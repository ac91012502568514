/**
 * One subtask's snapshot from freeze to bytes: a file of keyed state, whole or a delta against the
 * base, and a file of list states, always whole.
 *
 * I1 Keyed state is a delta only when that of every operator of the chain is: a mixture would let
 *    removed entries of the full ones come back from older files.
 * I2 A chain of files is bounded: a delta that would make it too long is written in full.
 */
import { toErrorData, WeirError, type ErrorData } from '#runtime/base/errors'
import type { CheckpointId } from '#runtime/contract/ids'
import type { StoredState } from '#runtime/contract/checkpoint-records'
import type { Barrier, DeclineReason } from '#runtime/contract/rpc'
import type { KeyedSnapshot, StateSection } from '#runtime/state/keyed-state'
import { encodeListSection } from '#runtime/state/list-state'
import type { StateFileContent } from '#runtime/state/snapshot-format'
import type { ChainedOperator } from './operator-chain.ts'

export interface SnapshotFailure {
  readonly error: ErrorData
  readonly reason: DeclineReason
}

/** The state of one subtask as of a barrier, encoded. */
export interface EncodedSnapshot {
  readonly barrier: Barrier
  /** Of the keyed state. */
  readonly mode: 'full' | 'delta'
  readonly uids: readonly string[]
  /** Declared keyed states of these operators, and what they hold. */
  readonly states: readonly StoredState[]
  /** Undefined: the subtask has no keyed state, or (delta) none that changed. */
  readonly keyed: Uint8Array | undefined
  /** Undefined: the subtask has no list states. */
  readonly lists: Uint8Array | undefined
  readonly alignmentMs: number
  readonly syncMs: number
  readonly asyncMs: number
}

/** Makes the bytes of a state file. */
export type EncodeState = (content: StateFileContent) => Uint8Array | Promise<Uint8Array>

/**
 * A restore reads every file of a chain, and each costs a request and rows that later files
 * replace; a full file costs writing the whole state. `bench/restore-chain.ts` shows both.
 */
export const MAX_CHAIN_LENGTH = 16

/** How many files the keyed state of one subtask lies in, by checkpoint. */
export class ChainLengths {
  readonly #lengths = new Map<number, number>()

  /** Of a checkpoint of this attempt; 0 when it is not known. */
  at(checkpointId: CheckpointId): number {
    return this.#lengths.get(checkpointId) ?? 0
  }

  /** Nothing older than `base` can become a base any more. */
  note(checkpointId: CheckpointId, base: CheckpointId, length: number): void {
    for (const id of this.#lengths.keys()) if (id < base) this.#lengths.delete(id)
    this.#lengths.set(checkpointId, length)
  }
}

export interface SubtaskSnapshotOptions {
  readonly operators: readonly ChainedOperator[]
  readonly barrier: Barrier
  readonly alignmentMs: number
  /** Of the subtask, over all its snapshots. */
  readonly chains: ChainLengths
  readonly monotonic: () => number
  onListsReady(): void
}

/**
 * The constructor is the synchronous part; `step` works in slices between batches; list states may
 * resolve later.
 */
export class SubtaskSnapshot {
  readonly barrier: Barrier
  readonly #uids: readonly string[]
  readonly #operators: readonly ChainedOperator[]
  readonly #keyed: readonly KeyedSnapshot[]
  readonly #alignmentMs: number
  readonly #syncMs: number
  readonly #frozenAt: number
  readonly #monotonic: () => number
  #at = 0
  #lists: StateSection[] | undefined
  #failure: SnapshotFailure | undefined
  #cancelled = false

  constructor({ operators, barrier, alignmentMs, chains, monotonic, onListsReady }: SubtaskSnapshotOptions) {
    const start = monotonic()
    this.barrier = barrier
    this.#operators = operators
    this.#monotonic = monotonic
    this.#alignmentMs = alignmentMs
    this.#uids = operators.filter((o) => o.keyed !== undefined || o.lists.length > 0).map((o) => o.uid)
    this.#keyed = freeze(operators, barrier, chains)
    void listSections(operators, barrier.id)
      .then((sections) => {
        this.#lists = sections
      })
      .catch((error: unknown) => {
        this.#failure = failureOf(error, 'SINK_PREPARE_FAILED')
      })
      .finally(onListsReady)
    this.#frozenAt = monotonic()
    this.#syncMs = this.#frozenAt - start
  }

  /** Why there will be none. */
  get failure(): SnapshotFailure | undefined {
    return this.#failure
  }

  /** Nothing is left to encode; what is missing is the answer of a list state. */
  get encoded(): boolean {
    return this.#at === this.#keyed.length
  }

  get cancelled(): boolean {
    return this.#cancelled
  }

  /** About `budgetMs` of encoding; true once `finish` may be called (or `failure` is set). */
  step(budgetMs: number): boolean {
    if (this.#failure !== undefined) return true
    const keyed = this.#keyed[this.#at]
    if (keyed === undefined) return this.#lists !== undefined
    if (keyed.isCancelled) {
      this.#failure = failureOf(superseded(this.barrier), 'CHECKPOINT_DECLINED')
      return true
    }
    if (keyed.step(budgetMs)) this.#at++
    return false
  }

  async finish(encode: EncodeState): Promise<EncodedSnapshot> {
    const mode = this.#keyed.length > 0 && this.#keyed.every((k) => k.mode === 'delta') ? 'delta' : 'full'
    const sections = this.#keyed.flatMap((k) => k.sections())
    const lists = this.#lists ?? []
    const hasKeyed = this.#keyed.length > 0 && (mode === 'full' || sections.length > 0)
    return {
      barrier: this.barrier,
      mode,
      uids: this.#uids,
      states: this.#operators.flatMap(storedStates),
      keyed: hasKeyed ? await encode({ mode, sections }) : undefined,
      lists: lists.length > 0 ? await encode({ mode: 'full', sections: lists }) : undefined,
      alignmentMs: this.#alignmentMs,
      syncMs: this.#syncMs,
      asyncMs: this.#monotonic() - this.#frozenAt,
    }
  }

  cancel(): void {
    this.#cancelled = true
    for (const snapshot of this.#keyed) snapshot.cancel()
  }
}

/** What it declares, with what its backend has met. */
export function storedStates({
  uid,
  states,
  keyed,
}: Pick<ChainedOperator, 'uid' | 'states' | 'keyed'>): StoredState[] {
  return states.map(({ name, kind, version, schema }) => ({
    uid,
    name,
    kind,
    version,
    schema,
    ...(keyed?.shapeOf(name) ?? { keys: [], values: [] }),
  }))
}

/** What an operator gives at once fails by itself; what it promises is a sink's prepare. */
const failureOf = (error: unknown, reason: DeclineReason): SnapshotFailure => ({
  error: toErrorData(error),
  reason,
})

const superseded = ({ id }: Barrier): WeirError =>
  new WeirError(
    'CKP_DECLINED',
    `The snapshot for checkpoint ${id} was given up: that of a newer one was begun before it was finished.`,
  )

function freeze(
  operators: readonly ChainedOperator[],
  { id, base }: Barrier,
  chains: ChainLengths,
): KeyedSnapshot[] {
  const backends = operators.flatMap((o) => (o.keyed === undefined ? [] : [o.keyed]))
  const snapshots = backends.map((b) => b.snapshot(id, base))
  const length = chains.at(base) + (snapshots.every((s) => s.isEmpty) ? 0 : 1)
  const isDelta = snapshots.every((s) => s.mode === 'delta') && length <= MAX_CHAIN_LENGTH
  chains.note(id, base, isDelta ? length : 1)
  if (isDelta || snapshots.every((s) => s.mode === 'full')) return snapshots
  for (const snapshot of snapshots) snapshot.cancel()
  return backends.map((b) => b.snapshot(id, 0))
}

/**
 * What a hook gives at once is encoded at once: it may be what the operator goes on changing. Only
 * what is promised is waited for.
 */
function listSections(
  operators: readonly ChainedOperator[],
  checkpointId: CheckpointId,
): Promise<StateSection[]> {
  const sections = operators.flatMap(({ uid, lists }) =>
    lists.map(async ({ name, mode, snapshot }) => {
      const given = snapshot(checkpointId)
      return encodeListSection(uid, name, mode, given instanceof Promise ? await given : given)
    }),
  )
  return Promise.all(sections)
}
