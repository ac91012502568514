import type { CheckpointId } from '#runtime/contract/ids'
import type { KeyGroupRange } from '#runtime/element/key-group'

export type { KeyGroupRange }

/**
 * Keyed state of one operator in one subtask: tables of key -> value, split by key group for
 * snapshots and rescaling. Single-threaded, owned by the task. A table is named; a namespace (a
 * window's pane, say) is a further split that can be dropped as a whole.
 *
 * Contract for values: what `get`/`read` returns is the stored object itself. The caller may mutate
 * it only if it then calls `put`/`write` with it before returning to the task. (Backends copy what
 * a running snapshot still needs when it is *read*, so mutation never reaches a snapshot.) Keys:
 * string, number (safe integers and finite doubles), boolean, bigint, Uint8Array-free plain
 * arrays/objects of these: the same key if and only if their encodings are equal
 * (element/key-encoding.ts).
 */
export interface KeyedStateBackend {
  readonly keyGroups: KeyGroupRange
  readonly maxParallelism: number
  /**
   * The table, made if absent. `namespace` must be a finite number or undefined (the default
   * namespace).
   */
  table<K, V>(name: string, namespace?: number): StateTable<K, V>
  /** Namespaces of a table that hold data, ascending. */
  namespaces(name: string): number[]
  /** Drops a namespace with all its entries; cheap. */
  dropNamespace(name: string, namespace: number): void
  /**
   * Freezes the state as of this call (synchronous part: no work that grows with the state) and
   * returns the snapshot to be written in slices. `base` = id of a completed checkpoint of this
   * same attempt whose files may be reused, or 0: then the snapshot is full. The backend may choose
   * `full` although `base` > 0 (compaction). A barrier's base is authoritative: snapshots with id <
   * base need not be remembered any longer. At most one snapshot is unfinished at a time: a new
   * call cancels the unfinished one (its changes stay dirty).
   */
  snapshot(checkpointId: CheckpointId, base: CheckpointId): KeyedSnapshot
  /**
   * Loads entries of the sections of one state file, in chain order (oldest first), only for key
   * groups in `keyGroups`. Before any table is used. `tableOf`: the table that a stored one is now;
   * default: the same.
   */
  restore(file: StateFileReader, uid: string, tableOf?: TableOf): void
  readonly entryCount: number
}

/** The name of a stored table in this version of the job; undefined: it is dropped. */
export type TableOf = (stored: string) => string | undefined

export interface StateTable<K, V> {
  readonly size: number
  get(key: K): V | undefined
  put(key: K, value: V): void
  remove(key: K): void
  /**
   * One look-up for read-modify-write: the cell of the key, made empty if absent. Valid until the
   * next call that adds or removes a key.
   */
  cell(key: K): StateCell<V>
  read(cell: StateCell<V>): V | undefined
  write(cell: StateCell<V>, value: V): void
  entries(): IterableIterator<[K, V]>
  clear(): void
}

/** Opaque to operators. */
export interface StateCell<V> {
  readonly __value?: V
}

/**
 * A frozen image being written. `step` does about `budgetMs` of work and says whether it is
 * finished; `sections` may be called once it is.
 */
export interface KeyedSnapshot {
  readonly mode: 'full' | 'delta'
  /** A delta without any change: it adds no file to those of its base. */
  readonly isEmpty: boolean
  /** Given up, by `cancel` or because a newer one was begun: it never finishes. */
  readonly isCancelled: boolean
  step(budgetMs: number): boolean
  /** Encoded blocks by table and key group, ready for the state file. */
  sections(): readonly StateSection[]
  /** Gives up; changes stay dirty for the next snapshot. Idempotent. */
  cancel(): void
}

/**
 * One block of a state file: entries of one table, namespace and key group, or one operator list
 * state (keyGroup -1).
 */
export interface StateSection {
  readonly uid: string
  readonly table: string
  readonly namespace?: number
  readonly keyGroup: number
  /**
   * `list-split` items are dealt out on rescale, `list-union` items go to everybody. `drop`: the
   * namespace is gone (deltas only).
   */
  readonly kind: 'entries' | 'list-split' | 'list-union' | 'drop'
  readonly entryCount: number
  readonly bytes: Uint8Array
}

/** A state file opened for reading; sections are decoded on demand. */
export interface StateFileReader {
  readonly mode: 'full' | 'delta'
  readonly index: readonly Omit<StateSection, 'bytes'>[]
  /** Bytes of index entry i. */
  bytes(i: number): Uint8Array
}
