import { invariant, messageOf, WeirError } from '#runtime/base/errors'
import { JobFault } from '#runtime/base/job-fault'
import type { KeyGroupRange } from '#runtime/element/key-group'
import { stateOfTable } from './data-check.ts'
import { deepCopy } from './deep-copy.ts'
import { encodeEntryBlock } from './entry-block.ts'
import type { CellSaver, TableImage, HeapCell } from './heap-cell.ts'
import type { KeyedSnapshot, StateSection } from './keyed-state.ts'
import type { StateShapes } from './state-shapes.ts'

export interface FrozenState {
  readonly uid: string
  readonly keyGroups: KeyGroupRange
  readonly sequence: number
  readonly mode: 'full' | 'delta'
  /** Last interval that the base holds; 0 for full. */
  readonly baseStamp: number
  /** Last interval that belongs to this snapshot. */
  readonly freezeStamp: number
  /** Full: images alive at the freeze. */
  readonly images: readonly TableImage[]
  /** Is told what is written. */
  readonly shapes: StateShapes
  /** Delta: dirty lists since the base; a cell may be in several. */
  readonly changed: readonly (readonly HeapCell[])[]
  /** Delta: images dropped since the base. */
  readonly dropped: readonly TableImage[]
}

/** Entries of one image and key group on their way into blocks. */
interface Bucket {
  readonly image: TableImage
  readonly keyGroup: number
  /** To be read when their turn comes; those saved ahead of it are skipped. */
  readonly cells: HeapCell[]
  next: number
  savedKeys: unknown[]
  savedValues: unknown[]
  removed: unknown[]
}

const CELLS_PER_CLOCK_READ = 64
const ENTRIES_PER_BLOCK = 256

/**
 * A frozen image of the heap backend, written while its tables change. Two sweeps: the first deals
 * the cells into buckets by key group, the second encodes bucket by bucket. A cell's value is
 * needed until its block is encoded; whoever would change it before calls `save`.
 * I1 `cell.swept === sequence` if and only if the snapshot needs nothing more of the cell: encoded,
 *    saved, made after the freeze, or not part of the delta.
 * I2 Removed keys stand in blocks before entries: a key removed and made again between base and
 *    freeze has two cells.
 */
export class HeapSnapshot implements KeyedSnapshot, CellSaver {
  readonly mode: 'full' | 'delta'
  readonly sequence: number
  readonly #frozen: FrozenState
  readonly #monotonic: () => number
  readonly #onEnd: () => void
  readonly #buckets = new Map<TableImage, Map<number, Bucket>>()
  readonly #sections: StateSection[] = []
  #cells: Iterator<HeapCell>
  #pending: Iterator<Bucket> | undefined
  #state: 'sweeping' | 'encoding' | 'finished' | 'cancelled' = 'sweeping'

  /**
   * `onEnd` is called once, when the snapshot is finished or cancelled: nothing needs to be saved
   * any more.
   */
  constructor(frozen: FrozenState, monotonic: () => number, onEnd: () => void) {
    this.mode = frozen.mode
    this.sequence = frozen.sequence
    this.#frozen = frozen
    this.#monotonic = monotonic
    this.#onEnd = onEnd
    this.#cells = frozen.mode === 'full' ? allCells(frozen.images) : changedCells(frozen.changed)
    for (const image of frozen.dropped) this.#addDrop(image)
  }

  get isEmpty(): boolean {
    const { mode, changed, dropped } = this.#frozen
    return mode === 'delta' && dropped.length === 0 && changed.every((list) => list.length === 0)
  }

  get isCancelled(): boolean {
    return this.#state === 'cancelled'
  }

  step(budgetMs: number): boolean {
    const deadline = this.#monotonic() + budgetMs
    try {
      while (this.#state === 'sweeping' || this.#state === 'encoding') {
        if (this.#state === 'sweeping') this.#sweep()
        else this.#encode()
        if (this.#monotonic() >= deadline) break
      }
    } catch (error) {
      this.cancel()
      throw error
    }
    return this.#state === 'finished'
  }

  sections(): readonly StateSection[] {
    invariant(this.#state === 'finished', `sections of a snapshot that is ${this.#state}`)
    return this.#sections
  }

  cancel(): void {
    if (this.#state !== 'finished') this.#end('cancelled')
  }

  save(cell: HeapCell, mayMutate: boolean): void {
    if (cell.swept === this.sequence) return
    cell.swept = this.sequence
    const { mode, baseStamp, freezeStamp } = this.#frozen
    if (cell.stamp > freezeStamp || (mode === 'delta' && cell.stamp <= baseStamp)) return
    if (cell.value === undefined) {
      if (mode === 'delta') this.#bucketOf(cell).removed.push(cell.key)
      return
    }
    const bucket = this.#bucketOf(cell)
    bucket.savedKeys.push(cell.key)
    bucket.savedValues.push(mayMutate ? deepCopy(cell.value) : cell.value)
  }

  #sweep(): void {
    for (let i = 0; i < CELLS_PER_CLOCK_READ; i++) {
      const { done, value: cell } = this.#cells.next()
      if (done === true) {
        this.#state = 'encoding'
        return
      }
      if (cell.swept === this.sequence || cell.image.droppedAt <= this.#frozen.freezeStamp) continue
      if (cell.value === undefined) this.save(cell, false)
      else this.#bucketOf(cell).cells.push(cell)
    }
  }

  /**
   * One block, or the step to the next bucket. Ends after a whole round over the buckets found
   * nothing to write.
   */
  #encode(): void {
    this.#pending ??= this.#waitingBuckets()
    const { done, value: bucket } = this.#pending.next()
    if (done === true) return this.#end('finished')
    if (bucket.removed.length > 0) {
      this.#addBlock(bucket, bucket.removed, [], [])
      bucket.removed = []
    } else {
      this.#encodeEntries(bucket)
    }
  }

  *#waitingBuckets(): Generator<Bucket, undefined> {
    let found = true
    while (found) {
      found = false
      for (const bucket of this.#allBuckets())
        while (isWaiting(bucket)) {
          found = true
          yield bucket
        }
    }
  }

  *#allBuckets(): Generator<Bucket, undefined> {
    for (const byGroup of this.#buckets.values()) yield* byGroup.values()
  }

  #encodeEntries(bucket: Bucket): void {
    const keys = bucket.savedKeys.splice(0, ENTRIES_PER_BLOCK)
    const values = bucket.savedValues.splice(0, ENTRIES_PER_BLOCK)
    while (keys.length < ENTRIES_PER_BLOCK && bucket.next < bucket.cells.length) {
      const cell = bucket.cells[bucket.next++]!
      if (cell.swept === this.sequence) continue
      cell.swept = this.sequence
      keys.push(cell.key)
      values.push(cell.value)
    }
    if (bucket.next === bucket.cells.length) bucket.cells.length = bucket.next = 0
    if (keys.length > 0) this.#addBlock(bucket, [], keys, values)
  }

  #addBlock(
    { image, keyGroup }: Bucket,
    removed: readonly unknown[],
    keys: readonly unknown[],
    values: readonly unknown[],
  ): void {
    const { uid, shapes } = this.#frozen
    let bytes: Uint8Array
    try {
      bytes = encodeEntryBlock({ removed, keys, values })
      shapes.note(image.table, keys, values)
    } catch (error) {
      throw new WeirError(
        'USR_FAILED',
        `Operator ${uid} failed: ${stateOfTable(image.table)} cannot be written to a checkpoint. ` +
          messageOf(error),
        { cause: error, ...(error instanceof JobFault ? { retry: 'never' } : {}), context: { uid } },
      )
    }
    this.#sections.push({
      uid,
      table: image.table,
      ...(image.namespace === undefined ? {} : { namespace: image.namespace }),
      keyGroup,
      kind: 'entries',
      entryCount: removed.length + keys.length,
      bytes,
    })
  }

  #addDrop({ table, namespace }: TableImage): void {
    const { uid, keyGroups } = this.#frozen
    if (this.#sections.some((s) => s.table === table && s.namespace === namespace)) return
    this.#sections.push({
      uid,
      table,
      ...(namespace === undefined ? {} : { namespace }),
      keyGroup: keyGroups.from,
      kind: 'drop',
      entryCount: 0,
      bytes: encodeDrop(keyGroups),
    })
  }

  #bucketOf({ image, keyGroup }: HeapCell): Bucket {
    let byGroup = this.#buckets.get(image)
    if (byGroup === undefined) this.#buckets.set(image, (byGroup = new Map()))
    let bucket = byGroup.get(keyGroup)
    if (bucket === undefined) {
      bucket = { image, keyGroup, cells: [], next: 0, savedKeys: [], savedValues: [], removed: [] }
      byGroup.set(keyGroup, bucket)
    }
    return bucket
  }

  #end(state: 'finished' | 'cancelled'): void {
    if (this.#state === 'cancelled') return
    this.#state = state
    this.#buckets.clear()
    this.#cells = [][Symbol.iterator]()
    this.#pending = undefined
    this.#onEnd()
  }
}

function isWaiting(bucket: Bucket): boolean {
  return bucket.next < bucket.cells.length || bucket.savedKeys.length > 0 || bucket.removed.length > 0
}

function* allCells(images: readonly TableImage[]): Generator<HeapCell, undefined> {
  for (const { cells, structural } of images) {
    yield* cells.values()
    yield* structural.values()
  }
}

function* changedCells(lists: readonly (readonly HeapCell[])[]): Generator<HeapCell, undefined> {
  for (const list of lists) yield* list
}

/**
 * The bytes of a `drop` section: u32 LE first key group, u32 LE end (exclusive) of the subtask that
 * dropped the namespace.
 */
function encodeDrop({ from, to }: KeyGroupRange): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(from, 0)
  bytes.writeUInt32LE(to, 4)
  return bytes
}

export function decodeDrop(bytes: Uint8Array): KeyGroupRange {
  if (bytes.length !== 8)
    throw new WeirError('STO_CORRUPT', `Cannot decode a drop section of ${bytes.length} bytes: expected 8.`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8)
  return { from: view.getUint32(0, true), to: view.getUint32(4, true) }
}
