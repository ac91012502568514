import type { CheckpointId } from '#runtime/contract/ids'
import type { TableImage, HeapCell } from './heap-cell.ts'

/** What changed between two freezes. */
interface Interval {
  readonly stamp: number
  readonly dirty: readonly HeapCell[]
  readonly dropped: readonly TableImage[]
}

/** A freeze that later snapshots may build on. */
interface Boundary {
  readonly stamp: number
  /** Entries that the deltas behind the last full snapshot hold, up to this; an upper bound. */
  readonly deltaEntries: number
}

export interface Changes {
  readonly mode: 'full' | 'delta'
  readonly baseStamp: number
  readonly changed: readonly (readonly HeapCell[])[]
  readonly dropped: readonly TableImage[]
}

const MAX_INTERVALS = 64
const SPARE_ENTRIES = 4096

/**
 * Remembers what changed since each checkpoint that may become a base, whatever became of the
 * checkpoints in between: the delta of n on base b is the union of the intervals after b. So
 * nothing is lost when a checkpoint fails, and nothing has to be told about it. Memory is bounded:
 * when the remembered changes outgrow the state, the oldest are forgotten, and a base that needs
 * them gets a full snapshot instead.
 */
export class ChangeHistory {
  #intervals: Interval[] = []
  readonly #boundaries = new Map<number, Boundary>()

  /** Closes interval `stamp` as that of `checkpointId`, and chooses what its snapshot holds. */
  close(checkpointId: CheckpointId, base: CheckpointId, interval: Interval, entryCount: number): Changes {
    this.#intervals.push(interval)
    const from = base > 0 ? this.#boundaries.get(base) : undefined
    if (from !== undefined) this.#forgetUpTo(from.stamp)
    const changes = this.#choose(from, entryCount)
    const before = changes.mode === 'full' || from === undefined ? 0 : from.deltaEntries
    const deltaEntries = changes.changed.reduce((sum, list) => sum + list.length, before)
    this.#boundaries.set(checkpointId, { stamp: interval.stamp, deltaEntries })
    this.#limit(entryCount)
    return changes
  }

  #choose(from: Boundary | undefined, entryCount: number): Changes {
    const full: Changes = { mode: 'full', baseStamp: 0, changed: [], dropped: [] }
    if (from === undefined) return full
    const changed = this.#intervals.map((i) => i.dirty)
    const dropped = this.#intervals.flatMap((i) => i.dropped)
    const count = changed.reduce((sum, list) => sum + list.length, 0)
    const isChanged = count > 0 || dropped.length > 0
    if (isChanged && from.deltaEntries + count > entryCount) return full
    return { mode: 'delta', baseStamp: from.stamp, changed, dropped }
  }

  #forgetUpTo(stamp: number): void {
    this.#intervals = this.#intervals.filter((i) => i.stamp > stamp)
    for (const [id, boundary] of this.#boundaries) if (boundary.stamp < stamp) this.#boundaries.delete(id)
  }

  #limit(entryCount: number): void {
    const count = () => this.#intervals.reduce((sum, i) => sum + i.dirty.length + i.dropped.length, 0)
    while (this.#intervals.length > MAX_INTERVALS || count() > 2 * entryCount + SPARE_ENTRIES)
      this.#forgetUpTo(this.#intervals[0]!.stamp)
  }
}
