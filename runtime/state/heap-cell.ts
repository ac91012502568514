import type { StateCell } from './keyed-state.ts'

/**
 * One entry in memory. `value` undefined: absent (made empty by `cell`, or removed). `stamp` is the
 * interval of the last change (0: unchanged since restore), `swept` the last snapshot that has what
 * it needs of this cell.
 */
export interface HeapCell extends StateCell<unknown> {
  readonly key: unknown
  readonly keyGroup: number
  readonly image: TableImage
  value: unknown
  stamp: number
  swept: number
}

/**
 * The entries of a table and namespace from its creation, or last clearing, to its next: dropping
 * is replacing the image, so it costs nothing, and a snapshot that still sweeps the old one finds
 * it untouched.
 */
export class TableImage {
  readonly table: string
  readonly namespace: number | undefined
  /** Interval in which it was made; 0 when restored. */
  readonly bornAt: number
  /** Interval in which it was dropped. */
  droppedAt = Infinity
  /** By primitive key. */
  readonly cells = new Map<unknown, HeapCell>()
  /** By the canonical encoding of a structural key. */
  readonly structural = new Map<string, HeapCell>()

  constructor(table: string, namespace: number | undefined, bornAt: number) {
    this.table = table
    this.namespace = namespace
    this.bornAt = bornAt
  }

  get isEmpty(): boolean {
    return this.cells.size === 0 && this.structural.size === 0
  }
}

/** What a backend's tables share. Plain fields: the hot path reads them. */
export interface HeapJournal {
  /** Number of the interval between two freezes that changes now belong to; from 1. */
  stamp: number
  /** Cells changed in this interval, each once. */
  dirty: HeapCell[]
  /** Images dropped in this interval that an earlier snapshot may hold. */
  dropped: TableImage[]
  /** The unfinished snapshot. */
  active: CellSaver | undefined
  entryCount: number
}

/** The side of an unfinished snapshot that tables see. */
export interface CellSaver {
  /** Marks cells that the snapshot needs nothing of. */
  readonly sequence: number
  /**
   * Saves the frozen value ahead of a change. `mayMutate`: the caller is about to hand the value
   * out, so a copy is kept. No-op when it is saved already.
   */
  save(cell: HeapCell, mayMutate: boolean): void
}
