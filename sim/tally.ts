import type { RareState } from './rare-states.ts'
import type { SimulationResult } from './simulate.ts'

/** Of so many seeds at least one must reach each rare state. */
const SEEDS_PER_REACH = 1000

/** What many seeds came to. */
export class Tally {
  seeds = 0
  failed = 0
  readonly #times: number[] = []
  readonly #reached = new Map<RareState, { seeds: number; times: number }>()

  /** `ms`: processor time. */
  add({ violations, reached }: SimulationResult, ms: number): void {
    this.seeds++
    if (violations.length > 0) this.failed++
    this.#times.push(ms)
    for (const [state, count] of reached) {
      const { seeds, times } = this.#reached.get(state) ?? { seeds: 0, times: 0 }
      this.#reached.set(state, { seeds: seeds + (count > 0 ? 1 : 0), times: times + count })
    }
  }

  get rarelyReached(): RareState[] {
    const least = Math.floor(this.seeds / SEEDS_PER_REACH)
    return [...this.#reached].flatMap(([state, { seeds }]) => (seeds < least ? [state] : []))
  }

  /** A table of the rare states, and a line about the seeds. */
  get text(): string {
    const rows = [...this.#reached].map(([state, { seeds, times }]) => row(state, seeds, times))
    const sorted = this.#times.toSorted((a, b) => a - b)
    const median = sorted[Math.floor(sorted.length / 2)] ?? 0
    const slowest = sorted.at(-1) ?? 0
    return [
      row('rare state', `of ${this.seeds}`, 'times'),
      ...rows,
      `${this.failed} of ${this.seeds} seeds failed; processor time per seed: ` +
        `${median.toFixed(0)} ms (median), ${slowest.toFixed(0)} ms (slowest)`,
      '',
    ].join('\n')
  }
}

const row = (state: string, seeds: string | number, times: string | number): string =>
  `${state.padEnd(26)} ${String(seeds).padStart(8)} ${String(times).padStart(8)}`
