import { toErrorData, type ErrorData } from '#runtime/base/errors'
import type { Barrier } from '#runtime/contract/rpc'
import { encodeListSection } from '#runtime/state/list-state'
import type { StateFileContent } from '#runtime/state/snapshot-format'
import type { KeyedSnapshot, StateSection } from '#runtime/state/keyed-state'
import type { ChainedOperator } from './operator-chain.ts'

/**
 * The state of one subtask as of a barrier, encoded; `bytes` undefined when it has no state at all,
 * or (delta) none that changed.
 */
export interface EncodedSnapshot {
  readonly barrier: Barrier
  readonly mode: 'full' | 'delta'
  readonly uids: readonly string[]
  readonly bytes: Uint8Array | undefined
  readonly alignmentMs: number
  readonly syncMs: number
  readonly asyncMs: number
}

/** Makes the bytes of a state file. */
export type EncodeState = (content: StateFileContent) => Uint8Array | Promise<Uint8Array>

/**
 * One subtask's snapshot from freeze to bytes. The constructor is the synchronous part; `step`
 * works in slices between batches; list states may resolve later. A file is `delta` only when every
 * keyed state of the chain is: a mixture would let removed entries of the full ones come back from
 * older files.
 */
export class SubtaskSnapshot {
  readonly barrier: Barrier
  readonly #uids: readonly string[]
  readonly #keyed: readonly KeyedSnapshot[]
  readonly #alignmentMs: number
  readonly #syncMs: number
  readonly #frozenAt: number
  readonly #monotonic: () => number
  #at = 0
  #lists: StateSection[] | undefined
  #error: ErrorData | undefined
  #cancelled = false

  constructor(
    operators: readonly ChainedOperator[],
    barrier: Barrier,
    alignmentMs: number,
    monotonic: () => number,
    onListsReady: () => void,
  ) {
    const start = monotonic()
    this.barrier = barrier
    this.#monotonic = monotonic
    this.#alignmentMs = alignmentMs
    this.#uids = operators.filter((o) => o.keyed !== undefined || o.lists.length > 0).map((o) => o.uid)
    this.#keyed = freeze(operators, barrier)
    void listSections(operators, barrier.id)
      .then((sections) => {
        this.#lists = sections
      })
      .catch((error: unknown) => {
        this.#error = toErrorData(error)
      })
      .finally(onListsReady)
    this.#frozenAt = monotonic()
    this.#syncMs = this.#frozenAt - start
  }

  /** Why a list state (a sink's prepare) could not be taken. */
  get error(): ErrorData | undefined {
    return this.#error
  }

  /** Nothing is left to encode; what is missing is the answer of a list state. */
  get encoded(): boolean {
    return this.#at === this.#keyed.length
  }

  get cancelled(): boolean {
    return this.#cancelled
  }

  /** About `budgetMs` of encoding; true once `finish` may be called (or `error` is set). */
  step(budgetMs: number): boolean {
    if (this.#error !== undefined) return true
    while (this.#at < this.#keyed.length) {
      if (!(this.#keyed[this.#at] as KeyedSnapshot).step(budgetMs)) return false
      this.#at++
      return false
    }
    return this.#lists !== undefined
  }

  async finish(encode: EncodeState): Promise<EncodedSnapshot> {
    const sections = [...this.#keyed.flatMap((k) => k.sections()), ...(this.#lists ?? [])]
    const mode = this.#keyed.length > 0 && this.#keyed.every((k) => k.mode === 'delta') ? 'delta' : 'full'
    const isEmpty = this.#uids.length === 0 || (mode === 'delta' && sections.length === 0)
    const bytes = isEmpty ? undefined : await encode({ mode, sections })
    return {
      barrier: this.barrier,
      mode,
      uids: this.#uids,
      bytes,
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

function freeze(operators: readonly ChainedOperator[], barrier: Barrier): KeyedSnapshot[] {
  const backends = operators.flatMap((o) => (o.keyed === undefined ? [] : [o.keyed]))
  const snapshots = backends.map((b) => b.snapshot(barrier.id, barrier.base))
  if (snapshots.every((s) => s.mode === (snapshots[0] as KeyedSnapshot).mode)) return snapshots
  for (const snapshot of snapshots) snapshot.cancel()
  return backends.map((b) => b.snapshot(barrier.id, 0))
}

async function listSections(
  operators: readonly ChainedOperator[],
  checkpointId: number,
): Promise<StateSection[]> {
  const pending = operators.flatMap((o) =>
    o.lists.map((hook) => ({ uid: o.uid, hook, items: hook.snapshot(checkpointId) })),
  )
  return Promise.all(
    pending.map(async ({ uid, hook, items }) => encodeListSection(uid, hook.name, hook.mode, await items)),
  )
}
