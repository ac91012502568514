import type { JobFacts } from '#runtime/contract/rest'

/**
 * What a whole run has done. Facts count by attempt (records) and by leader (checkpoints,
 * restarts); here the newest figures of each are summed, so that a restart does not lose what was
 * counted before it. Records that are read again are counted again.
 */
export class RunTotals {
  readonly #attempts = new Map<string, { readonly in: number; readonly out: number }>()
  readonly #leaders = new Map<number, { readonly checkpoints: number; readonly restarts: number }>()

  take({ attempt, epoch, records, checkpoint, restarts }: JobFacts): void {
    if (attempt !== undefined) this.#attempts.set(attempt, records)
    if (epoch > 0) this.#leaders.set(epoch, { checkpoints: checkpoint.completed, restarts })
  }

  get recordsIn(): number {
    return [...this.#attempts.values()].reduce((sum, records) => sum + records.in, 0)
  }

  get recordsOut(): number {
    return [...this.#attempts.values()].reduce((sum, records) => sum + records.out, 0)
  }

  get checkpoints(): number {
    return [...this.#leaders.values()].reduce((sum, leader) => sum + leader.checkpoints, 0)
  }

  get restarts(): number {
    return [...this.#leaders.values()].reduce((sum, leader) => sum + leader.restarts, 0)
  }
}
