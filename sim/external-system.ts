import type { OutputRow } from './job.ts'
import type { Oracle } from './oracle.ts'

/**
 * The system that the sinks write to: transactions are prepared, then committed by name or rolled
 * back. Committing twice is harmless. It answers at once: what can go wrong between is covered by
 * processes dying before or after.
 */
export class ExternalSystem {
  readonly #oracle: Oracle
  readonly #prepared = new Map<
    string,
    { readonly sink: number; readonly attempt: string; readonly rows: readonly OutputRow[] }
  >()
  readonly #committed = new Set<string>()

  constructor(oracle: Oracle) {
    this.#oracle = oracle
  }

  prepare(name: string, sink: number, attempt: string, rows: readonly OutputRow[]): void {
    this.#prepared.set(name, { sink, attempt, rows })
  }

  commit(name: string, permit: number): void {
    if (this.#committed.has(name)) return
    this.#committed.add(name)
    this.#oracle.onCommit(permit, this.#prepared.get(name)?.rows ?? [])
    this.#prepared.delete(name)
  }

  rollBack(name: string): void {
    this.#prepared.delete(name)
  }

  /** What other attempts of this sink subtask left prepared and nobody will commit. */
  rollBackOthers(sink: number, attempt: string): void {
    for (const [name, transaction] of this.#prepared)
      if (transaction.sink === sink && transaction.attempt !== attempt) this.#prepared.delete(name)
  }
}
