import { readListState, redistribute } from '#runtime/state/list-state'
import { openStateFile } from '#runtime/state/snapshot-format'
import type { KeyedStateBackend, StateFileReader } from '#runtime/state/keyed-state'

/**
 * The state files that one subtask restores from, as handed to its thread: chains of old subtasks,
 * oldest file first.
 */
export interface RestoreInput {
  readonly checkpointId: number
  /** uid of the new operator -> uid that the state was stored under (`formerly`). */
  readonly storedUid: Readonly<Record<string, string>>
  readonly chains: readonly RestoreChain[]
}

export interface RestoreChain {
  readonly oldSubtask: number
  readonly oldParallelism: number
  readonly uids: readonly string[]
  /**
   * Shared with other threads of the process; never written. Without key-group overlap only the
   * newest file is given, for its list states.
   */
  readonly files: readonly Uint8Array[]
  readonly overlaps: boolean
}

/** State of the restore point for one subtask. Files are opened once, decoded per operator. */
export class SubtaskRestore {
  readonly checkpointId: number
  readonly #storedUid: Readonly<Record<string, string>>
  readonly #chains: readonly { readonly chain: RestoreChain; readonly readers: readonly StateFileReader[] }[]

  constructor(input: RestoreInput | undefined) {
    this.checkpointId = input?.checkpointId ?? 0
    this.#storedUid = input?.storedUid ?? {}
    this.#chains = (input?.chains ?? []).map((chain) => ({
      chain,
      readers: chain.files.map((bytes) => openStateFile(bytes)),
    }))
  }

  keyed(uid: string, backend: KeyedStateBackend): void {
    const stored = this.#storedUid[uid] ?? uid
    for (const { chain, readers } of this.#chains)
      if (chain.overlaps && chain.uids.includes(stored))
        for (const reader of readers) backend.restore(reader, stored)
  }

  /**
   * Items of a list state: kept in place when the parallelism is the old one, else dealt out; union
   * gives all.
   */
  list(uid: string, name: string, subtask: number, parallelism: number): readonly unknown[] {
    const stored = this.#storedUid[uid] ?? uid
    const perOld: unknown[][] = []
    let union = false
    let oldParallelism = 0
    for (const { chain, readers } of this.#chains) {
      const newest = readers.at(-1)
      if (newest === undefined || !chain.uids.includes(stored)) continue
      oldParallelism = chain.oldParallelism
      const found = readListState(newest, stored, name)
      if (found === undefined) continue
      union ||= found.mode === 'union'
      perOld[chain.oldSubtask] = found.items
    }
    const all = Array.from({ length: Math.max(oldParallelism, perOld.length) }, (_, i) => perOld[i] ?? [])
    if (union) return all.flat()
    return (oldParallelism === parallelism ? all[subtask] : redistribute(all, parallelism)[subtask]) ?? []
  }
}
