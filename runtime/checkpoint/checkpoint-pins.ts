/**
 * Pins: checkpoints of this job that somebody else reads for a while, such as a job that starts as
 * a fork of it.
 *
 * P1 From the moment that a pin is asked for, nothing that it names is retired: the record of a
 *    checkpoint that completes meanwhile is made with that in mind. Where it was made before, the
 *    pin comes too late and is refused.
 */
import { WeirError } from '#runtime/base/errors'
import type { LogRecordOf } from '#runtime/contract/checkpoint-records'
import type { CoordinatorTerm } from './coordinator-options.ts'

export interface PinRequest {
  /** Ids of retained checkpoints; none: whatever `by` has pinned is given up. */
  readonly ids: readonly number[]
  /** Who asks. A later pin by the same name replaces this one. */
  readonly by: string
  /** Wall clock, ms since the epoch: until then they are not retired. */
  readonly untilMs: number
}

export interface CheckpointPinsOptions {
  readonly term: Pick<CoordinatorTerm, 'state' | 'append'>
  readonly clock: { now(): number }
}

export class CheckpointPins {
  readonly #options: CheckpointPinsOptions
  readonly #asking = new Set<PinRequest>()

  constructor(options: CheckpointPinsOptions) {
    this.#options = options
  }

  /** Ids of checkpoints whose pins are on their way into the log. */
  get asked(): ReadonlySet<number> {
    return new Set([...this.#asking].flatMap((request) => request.ids))
  }

  /**
   * Resolves when the pin is in the log.
   * @throws {WeirError} CFG_INVALID; CKP_RESTORE, naming those that are retained, when one of the
   * ids is not; FENCED when the term is over; STO_DENIED
   */
  async pin(request: PinRequest): Promise<LogRecordOf<'PIN'>> {
    const { term, clock } = this.#options
    const { ids, by, untilMs } = request
    if (by === '' || !Number.isSafeInteger(untilMs) || untilMs <= clock.now())
      throw new WeirError(
        'CFG_INVALID',
        `Not a pin: ${JSON.stringify(request)}. Expected who asks, and until when in the future (ms).`,
      )
    this.#requireRetained(ids)
    const body: LogRecordOf<'PIN'> = { kind: 'PIN', ids: [...ids], by, until: untilMs }
    this.#asking.add(request)
    try {
      const outcome = await term.append(body)
      if (outcome.kind === 'appended') return body
      if (outcome.kind === 'refused') this.#requireRetained(ids)
      throw outcome.error
    } finally {
      this.#asking.delete(request)
    }
  }

  #requireRetained(ids: readonly number[]): void {
    const retained = this.#options.term.state.retained.map((c) => c.id)
    const missing = ids.filter((id) => !retained.includes(id))
    if (missing.length === 0) return
    throw new WeirError(
      'CKP_RESTORE',
      `Cannot pin checkpoint ${missing.join(', ')}: retained are ${retained.join(', ') || 'none'}.`,
      { context: { missing, retained } },
    )
  }
}
