import { RARE_STATES, type RareState } from './rare-states.ts'

/** How often each rare state was reached. */
export class Coverage {
  readonly #counts = new Map<RareState, number>()

  reach(state: RareState): void {
    this.#counts.set(state, (this.#counts.get(state) ?? 0) + 1)
  }

  count(state: RareState): number {
    return this.#counts.get(state) ?? 0
  }

  get all(): readonly (readonly [RareState, number])[] {
    return (Object.keys(RARE_STATES) as RareState[]).map((state) => [state, this.count(state)])
  }
}
