import { invariant, WeirError } from '#runtime/base/errors'
import { JobFault } from '#runtime/base/job-fault'
import { preview } from '#runtime/base/preview'
import { canonicalKey, normalKey } from '#runtime/element/key-encoding'
import { keyGroupOf, type KeyGroupRange } from '#runtime/element/key-group'
import { DataCheck } from './data-check.ts'
import { deepCopy } from './deep-copy.ts'
import { TableImage, type HeapCell, type HeapJournal } from './heap-cell.ts'
import type { StateCell, StateTable } from './keyed-state.ts'
import { kindOf } from './state-shapes.ts'

/** V8 refuses a Map of more than 2^24 entries. */
const MAX_ENTRIES = 16_000_000

export interface HeapTableContext {
  readonly uid: string
  readonly keyGroups: KeyGroupRange
  readonly maxParallelism: number
  readonly journal: HeapJournal
  readonly onOtherKeys: OnOtherKeys
}

/** Is told, once for each kind, of a new key of a kind that no restored key of the table has. */
export type OnOtherKeys = (table: string, kind: string, restored: readonly string[]) => void

/**
 * A table of the heap backend: a Map of cells.
 * I1 A change of a cell first puts it on the journal's dirty list, once per interval, and lets an
 *    unfinished snapshot save the frozen value.
 * I2 An object is handed out only after an unfinished snapshot has saved it, since the caller may
 *    mutate it.
 * I3 Once a cell has been changed within the current interval, the unfinished snapshot needs
 *    nothing more of it: I1 and I2 then cost one comparison.
 * I4 Cells are kept under normal keys (element/key-encoding.ts), so that strings are told apart in
 *    memory as in a checkpoint. Only what is not found is asked whether it is one.
 */
export class HeapTable<K, V> implements StateTable<K, V> {
  readonly #context: HeapTableContext
  readonly #journal: HeapJournal
  readonly #data: DataCheck
  #image: TableImage
  /** Of restored keys, and of those that were told of; undefined: nothing was restored. */
  #keyKinds: Set<string> | undefined
  #size = 0
  #isDetached = false

  constructor(context: HeapTableContext, image: TableImage) {
    this.#context = context
    this.#journal = context.journal
    this.#image = image
    this.#data = new DataCheck(image.table)
  }

  get size(): number {
    return this.#size
  }

  get image(): TableImage {
    return this.#image
  }

  get(key: K): V | undefined {
    const cell = this.#find(key)
    return cell === undefined ? undefined : this.#read(cell)
  }

  put(key: K, value: V): void {
    if (value === undefined) this.remove(key)
    else this.#write(this.#find(key) ?? this.#insert(key), value)
  }

  remove(key: K): void {
    const cell = this.#find(key)
    if (cell === undefined) return
    if (cell.value !== undefined) this.#write(cell, undefined)
    if (typeof key === 'object' && key !== null) this.#image.structural.delete(canonicalKey(key))
    else this.#image.cells.delete(cell.key)
  }

  cell(key: K): StateCell<V> {
    return (this.#find(key) ?? this.#insert(key)) as StateCell<V>
  }

  read(cell: StateCell<V>): V | undefined {
    return this.#read(cell as HeapCell)
  }

  write(cell: StateCell<V>, value: V): void {
    this.#write(cell as HeapCell, value)
  }

  *entries(): IterableIterator<[K, V]> {
    const { cells, structural } = this.#image
    for (const map of [cells, structural])
      for (const cell of map.values()) {
        const value = this.#read(cell)
        if (value !== undefined) yield [cell.key as K, value]
      }
  }

  clear(): void {
    const old = this.#image
    if (old.isEmpty) return
    old.droppedAt = this.#journal.stamp
    if (old.bornAt < this.#journal.stamp) this.#journal.dropped.push(old)
    this.#journal.entryCount -= this.#size
    this.#size = 0
    this.#image = new TableImage(old.table, old.namespace, this.#journal.stamp)
  }

  /** Clears and makes the table void: it has left the backend. */
  detach(): void {
    this.clear()
    this.#isDetached = true
  }

  /** Sets (or, undefined, removes) an entry read from a state file: not a change. */
  load(key: K, keyGroup: number, value: V | undefined): void {
    const cell = this.#find(key) ?? this.#make(key, keyGroup)
    this.#keyKinds ??= new Set()
    this.#keyKinds.add(kindOf(key))
    this.#count(cell.value, value)
    cell.value = value
    if (value === undefined) this.remove(key)
  }

  /** Removes what a state file says was dropped by the subtask that owned `range`. */
  unload(range: KeyGroupRange): void {
    for (const [key, cell] of [...this.#image.cells, ...this.#image.structural])
      if (cell.keyGroup >= range.from && cell.keyGroup < range.to) {
        this.#count(cell.value, undefined)
        cell.value = undefined
        this.#image.cells.delete(key)
        this.#image.structural.delete(key as string)
      }
  }

  #find(key: K): HeapCell | undefined {
    const { cells, structural } = this.#image
    if (typeof key === 'object' && key !== null) return structural.get(canonicalKey(key))
    const cell = cells.get(key)
    if (cell !== undefined || typeof key !== 'string' || key.isWellFormed()) return cell
    return cells.get(normalKey(key))
  }

  #read(cell: HeapCell): V | undefined {
    const value = cell.value
    const journal = this.#journal
    if (
      typeof value === 'object' &&
      journal.active !== undefined &&
      cell.stamp !== journal.stamp &&
      value !== null
    )
      journal.active.save(cell, true)
    return value as V | undefined
  }

  #write(cell: HeapCell, value: unknown): void {
    const journal = this.#journal
    if (cell.stamp !== journal.stamp) {
      this.#data.check(value)
      if (journal.active !== undefined) journal.active.save(cell, false)
      cell.stamp = journal.stamp
      journal.dirty.push(cell)
    }
    if (cell.value === undefined || value === undefined) this.#count(cell.value, value)
    cell.value = value
  }

  #count(before: unknown, after: unknown): void {
    const change = (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1)
    this.#size += change
    this.#journal.entryCount += change
  }

  #insert(key: K): HeapCell {
    const { keyGroups, maxParallelism } = this.#context
    invariant(
      !this.#isDetached,
      `table ${this.#image.table} is used after its namespace ${this.#image.namespace} was dropped`,
    )
    const keyGroup = keyGroupOf(key, maxParallelism)
    if (keyGroup < keyGroups.from || keyGroup >= keyGroups.to)
      throw new JobFault(
        `the key ${preview(key)} hashes to key group ${keyGroup}, ` +
          `but this subtask owns [${keyGroups.from}, ${keyGroups.to}). ` +
          'The key function must return the same key each time it is called with a record: ' +
          'no randomness, no clock, no mutated keys.',
      )
    if (this.#keyKinds !== undefined) this.#compare(key, this.#keyKinds)
    return this.#make(key, keyGroup)
  }

  #compare(key: K, kinds: Set<string>): void {
    const kind = kindOf(key)
    if (kinds.has(kind)) return
    this.#context.onOtherKeys(this.#image.table, kind, [...kinds])
    kinds.add(kind)
  }

  #make(key: K, keyGroup: number): HeapCell {
    const image = this.#image
    if (image.cells.size >= MAX_ENTRIES)
      throw new WeirError(
        'USR_FAILED',
        `Operator ${this.#context.uid}: table ${image.table} holds ${MAX_ENTRIES} keys ` +
          'in one subtask, more than the heap backend can. Raise the parallelism.',
        { retry: 'never' },
      )
    const isStructural = typeof key === 'object' && key !== null
    const cell: HeapCell = {
      key: normalKey(isStructural ? deepCopy(key) : key),
      keyGroup,
      image,
      value: undefined,
      stamp: 0,
      swept: this.#journal.active?.sequence ?? 0,
    }
    if (isStructural) image.structural.set(canonicalKey(key), cell)
    else image.cells.set(cell.key, cell)
    return cell
  }
}
