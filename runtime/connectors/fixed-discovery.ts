import type { PollResult } from '#runtime/element/receiver'
import type { SplitDiscovery } from './source.ts'

/**
 * Discovery of a source whose splits are known from the start: gives them once, in the life of a
 * job. One whose splits are others after a restore keeps the old ones: their positions belong to
 * them.
 */
export class FixedDiscovery<S> implements SplitDiscovery<S> {
  readonly #splits: readonly S[]
  readonly #bounded: boolean
  #given = 0

  constructor(splits: readonly S[], bounded: boolean) {
    this.#splits = splits
    this.#bounded = bounded
  }

  open(restored: unknown): void {
    if (typeof restored === 'object' && restored !== null && 'given' in restored)
      this.#given = this.#splits.length
  }

  poll(emit: (split: S) => void): PollResult {
    for (const split of this.#splits.slice(this.#given)) emit(split)
    this.#given = this.#splits.length
    return this.#bounded ? 'done' : 'idle'
  }

  snapshot(): unknown {
    return this.#given === 0 ? undefined : { given: this.#given }
  }
}
