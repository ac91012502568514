import { messageOf, WeirError } from '#runtime/base/errors'
import type { CheckpointId } from '#runtime/contract/ids'
import { keyGroupOf } from '#runtime/element/key-group'
import { ChangeHistory } from './change-history.ts'
import { decodeEntryBlock } from './entry-block.ts'
import { TableImage, type HeapJournal } from './heap-cell.ts'
import { decodeDrop, HeapSnapshot } from './heap-snapshot.ts'
import { HeapTable, type OnOtherKeys } from './heap-table.ts'
import { StateShapes, type StateShape } from './state-shapes.ts'
import type {
  KeyedSnapshot,
  KeyedStateBackend,
  KeyGroupRange,
  StateFileReader,
  StateTable,
  TableOf,
} from './keyed-state.ts'

export interface HeapBackendOptions {
  /** Of the operator; names its sections in state files. */
  readonly uid: string
  readonly keyGroups: KeyGroupRange
  readonly maxParallelism: number
  /** Milliseconds on a clock that never goes back (Clock.monotonic). */
  readonly monotonic: () => number
  readonly onOtherKeys?: OnOtherKeys
}

/**
 * Keyed state in memory.
 * - A read-modify-write by `cell` costs one Map look-up; the key group is computed once, when a key
 *   is first inserted.
 * - Snapshots are deltas against the base as long as that is less than the state, and full else;
 *   both are written in slices, and records between the slices pay only for the cells they touch
 *   (heap-table.ts).
 * - A delta without sections adds no file to the chain.
 * Numbers in a value lose the sign of -0; other limits of values: element/batch-codec.ts.
 */
export class HeapBackend implements KeyedStateBackend {
  readonly keyGroups: KeyGroupRange
  readonly maxParallelism: number
  readonly #options: HeapBackendOptions
  readonly #journal: HeapJournal = { stamp: 1, dirty: [], dropped: [], active: undefined, entryCount: 0 }
  readonly #tables = new Map<string, Map<number | undefined, HeapTable<unknown, unknown>>>()
  readonly #history = new ChangeHistory()
  readonly #shapes = new StateShapes()
  #active: HeapSnapshot | undefined
  #sequence = 0

  constructor(options: HeapBackendOptions) {
    this.keyGroups = options.keyGroups
    this.maxParallelism = options.maxParallelism
    this.#options = options
  }

  get entryCount(): number {
    return this.#journal.entryCount
  }

  table<K, V>(name: string, namespace?: number): StateTable<K, V> {
    return this.#table(name, namespace, this.#journal.stamp) as unknown as StateTable<K, V>
  }

  namespaces(name: string): number[] {
    const found: number[] = []
    for (const [namespace, table] of this.#tables.get(name) ?? [])
      if (namespace !== undefined && table.size > 0) found.push(namespace)
    return found.sort((a, b) => a - b)
  }

  dropNamespace(name: string, namespace: number): void {
    const byNamespace = this.#tables.get(name)
    const table = byNamespace?.get(namespace)
    if (table === undefined) return
    table.detach()
    byNamespace?.delete(namespace)
  }

  snapshot(checkpointId: CheckpointId, base: CheckpointId): KeyedSnapshot {
    this.#active?.cancel()
    const journal = this.#journal
    const freezeStamp = journal.stamp++
    const interval = { stamp: freezeStamp, dirty: journal.dirty, dropped: journal.dropped }
    journal.dirty = []
    journal.dropped = []
    const changes = this.#history.close(checkpointId, base, interval, journal.entryCount)
    const { uid, monotonic } = this.#options
    const snapshot = new HeapSnapshot(
      {
        uid,
        keyGroups: this.keyGroups,
        sequence: ++this.#sequence,
        freezeStamp,
        images: changes.mode === 'full' ? [...this.#images()] : [],
        shapes: this.#shapes,
        ...changes,
      },
      monotonic,
      () => {
        if (this.#active !== snapshot) return
        this.#active = undefined
        journal.active = undefined
      },
    )
    this.#active = snapshot
    journal.active = snapshot
    return snapshot
  }

  /** Of what the snapshots of this backend have written. */
  shapeOf(state: string): StateShape {
    return this.#shapes.of(state)
  }

  restore(file: StateFileReader, uid: string, tableOf: TableOf = (table) => table): void {
    for (const [i, section] of file.index.entries()) {
      const name = section.uid === uid ? tableOf(section.table) : undefined
      if (name === undefined) continue
      if (section.kind === 'drop') this.#table(name, section.namespace, 0).unload(decodeDrop(file.bytes(i)))
      else if (section.kind === 'entries' && this.#owns(section.keyGroup))
        this.#load({ ...section, table: name }, file.bytes(i))
    }
  }

  #load(
    { uid, table: name, namespace, keyGroup }: StateFileReader['index'][number],
    bytes: Uint8Array,
  ): void {
    const table = this.#table(name, namespace, 0)
    try {
      const { removed, keys, values } = decodeEntryBlock(bytes)
      const first = removed[0] ?? keys[0]
      if (first !== undefined && keyGroupOf(first, this.maxParallelism) !== keyGroup)
        throw new WeirError(
          'CKP_RESTORE',
          `its keys do not belong to key group ${keyGroup} of ${this.maxParallelism}: ` +
            'maxParallelism has changed',
        )
      for (const key of removed) table.load(key, keyGroup, undefined)
      for (let i = 0; i < keys.length; i++) table.load(keys[i], keyGroup, values[i])
    } catch (error) {
      throw new WeirError(
        error instanceof WeirError ? error.code : 'STO_CORRUPT',
        `Cannot restore state table ${name} of operator ${uid}: ${messageOf(error)}`,
        { cause: error },
      )
    }
  }

  #owns(keyGroup: number): boolean {
    return keyGroup >= this.keyGroups.from && keyGroup < this.keyGroups.to
  }

  #table(name: string, namespace: number | undefined, bornAt: number): HeapTable<unknown, unknown> {
    let byNamespace = this.#tables.get(name)
    if (byNamespace === undefined) this.#tables.set(name, (byNamespace = new Map()))
    let table = byNamespace.get(namespace)
    if (table === undefined) {
      if (namespace !== undefined && !Number.isFinite(namespace))
        throw new WeirError(
          'BUG',
          `Namespace ${namespace} of state table ${name}: expected a finite number or undefined.`,
        )
      const { uid, keyGroups, maxParallelism, onOtherKeys = () => undefined } = this.#options
      table = new HeapTable(
        { uid, keyGroups, maxParallelism, journal: this.#journal, onOtherKeys },
        new TableImage(name, namespace, bornAt),
      )
      byNamespace.set(namespace, table)
    }
    return table
  }

  *#images(): Generator<TableImage> {
    for (const byNamespace of this.#tables.values())
      for (const table of byNamespace.values()) if (!table.image.isEmpty) yield table.image
  }
}
