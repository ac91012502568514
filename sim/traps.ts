import type { SimNode } from './node.ts'
import type { RequestFate } from './store.ts'

/** A place in the protocol where a fault does the most harm, by name (`append DEPLOY`). */
export interface Trap {
  readonly place: string
  /** Springs at this passage, counted from 1. */
  readonly nth: number
  /** Of a request to the store: what becomes of it. Of anything else: undefined. */
  readonly fate?: RequestFate
  readonly spring?: (at: SimNode) => void
}

/** Traps laid for one run; each springs once. */
export class Traps {
  readonly #traps: { readonly trap: Trap; passed: number }[] = []

  lay(trap: Trap): void {
    this.#traps.push({ trap, passed: 0 })
  }

  clear(): void {
    this.#traps.length = 0
  }

  /** Something passes the place; the fate of a request, if a trap decides it. */
  pass(place: string, at: SimNode): RequestFate | undefined {
    let fate: RequestFate | undefined
    for (const laid of this.#traps) {
      if (laid.trap.place !== place || ++laid.passed !== laid.trap.nth) continue
      at.world.tell('trap', `springs at ${place} (${laid.trap.nth}) in ${at.name}`)
      fate ??= laid.trap.fate
      laid.trap.spring?.(at)
    }
    return fate
  }
}
