import type { CheckpointId } from '#runtime/contract/ids'
import { readListState, redistribute } from '#runtime/state/list-state'
import { openStateFile } from '#runtime/state/snapshot-format'
import type { ChangedStates } from './match-states.ts'
import { evolve, type StateEvolutions } from '#runtime/state/evolution'
import type { KeyedStateBackend, StateFileReader } from '#runtime/state/keyed-state'

/**
 * The state files that one subtask restores from, as handed to its thread: chains of old subtasks,
 * oldest file first.
 */
export interface RestoreInput {
  readonly checkpointId: CheckpointId
  /** uid of the new operator -> uid that the state was stored under (`formerly`). */
  readonly storedUid: Readonly<Record<string, string>>
  /** What became of stored states, by the new operator's uid. */
  readonly states: Readonly<Record<string, ChangedStates>>
  readonly chains: readonly RestoreChain[]
}

export interface RestoreChain {
  readonly oldSubtask: number
  readonly oldParallelism: number
  readonly uids: readonly string[]
  /**
   * Files of keyed state, as far as its key groups are the subtask's too. Bytes are shared with
   * other threads of the process; never written.
   */
  readonly keyed: readonly Uint8Array[]
  readonly lists: Uint8Array | undefined
}

interface OpenChain {
  readonly chain: RestoreChain
  readonly keyed: readonly StateFileReader[]
  readonly lists: StateFileReader | undefined
}

/** The tables of a state of a process step are `state:<name>` and `expiry:<name>`. */
function tableNow(table: string, changes: ChangedStates): string | undefined {
  const [, prefix = '', name = table] = /^((?:state|expiry):)(.*)$/s.exec(table) ?? []
  const now = Object.hasOwn(changes, name) ? changes[name] : undefined
  if (now === undefined) return table
  return now === null ? undefined : `${prefix}${now.name}`
}

/**
 * Loads the keyed state of one operator, that it was stored under `stored`, and converts what is of
 * an earlier version. @throws {JobFault} when a value cannot be converted
 */
export function restoreKeyed(
  backend: KeyedStateBackend,
  files: Iterable<StateFileReader>,
  { stored, changes, evolutions }: StoredOperator,
): void {
  for (const file of files) backend.restore(file, stored, (table) => tableNow(table, changes))
  for (const taken of Object.values(changes)) {
    const evolution = taken === null ? undefined : evolutions[taken.name]
    if (taken?.convertFrom !== undefined && evolution !== undefined)
      evolve(backend, { name: taken.name, version: taken.convertFrom }, evolution)
  }
}

export interface StoredOperator {
  /** The uid that its state was stored under. */
  readonly stored: string
  readonly changes: ChangedStates
  readonly evolutions: StateEvolutions
}

/** State of the restore point for one subtask. Files are opened once, decoded per operator. */
export class SubtaskRestore {
  readonly checkpointId: CheckpointId
  readonly #storedUid: Readonly<Record<string, string>>
  readonly #states: Readonly<Record<string, ChangedStates>>
  readonly #chains: readonly OpenChain[]

  constructor(input: RestoreInput | undefined) {
    this.checkpointId = input?.checkpointId ?? 0
    this.#storedUid = input?.storedUid ?? {}
    this.#states = input?.states ?? {}
    this.#chains = (input?.chains ?? []).map((chain) => ({
      chain,
      keyed: chain.keyed.map((bytes) => openStateFile(bytes)),
      lists: chain.lists === undefined ? undefined : openStateFile(chain.lists),
    }))
  }

  keyed(uid: string, backend: KeyedStateBackend, evolutions: StateEvolutions): void {
    const stored = this.#storedUid[uid] ?? uid
    const files = this.#chains
      .filter(({ chain }) => chain.uids.includes(stored))
      .flatMap(({ keyed }) => keyed)
    restoreKeyed(backend, files, { stored, changes: this.#states[uid] ?? {}, evolutions })
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
    for (const { chain, lists } of this.#chains) {
      if (!chain.uids.includes(stored)) continue
      oldParallelism = chain.oldParallelism
      const found = lists === undefined ? undefined : readListState(lists, stored, name)
      if (found === undefined) continue
      union ||= found.mode === 'union'
      perOld[chain.oldSubtask] = found.items
    }
    const all = Array.from({ length: Math.max(oldParallelism, perOld.length) }, (_, i) => perOld[i] ?? [])
    if (union) return all.flat()
    return (oldParallelism === parallelism ? all[subtask] : redistribute(all, parallelism)[subtask]) ?? []
  }
}
