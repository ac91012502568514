import { refuseUnknownOptions } from '#runtime/base/known-options'
import type { CommitOutcome, Sink, SinkContext, SinkWriter } from '#runtime/connectors/sink'
import { hashKey } from '#runtime/element/key-group'

/**
 * What a subtask has swallowed. The checksum does not depend on the order of the records: the sum
 * of their hashes modulo 2^32.
 */
export interface BlackholeTotals {
  readonly count: number
  readonly checksum: number
}

interface SubtaskTotals {
  readonly subtask: number
  readonly totals: BlackholeTotals
}

export interface BlackholeOptions {
  /** Also hash every record, so that two runs can be compared. Default: count only. */
  readonly checksum?: boolean
  /**
   * Called when a checkpoint commits, with the totals of the subtask since it started, and when it
   * closes. Runs in the subtask's thread.
   */
  readonly onTotals?: (totals: BlackholeTotals, subtask: number) => void
}

/**
 * Swallows records; for measuring. Totals are logged when a subtask closes; they count again what a
 * restart repeats.
 */
export function blackhole<T>(options: BlackholeOptions = {}): Sink<T, SubtaskTotals> {
  refuseUnknownOptions('blackhole', options, ['checksum', 'onTotals'])
  return {
    description: 'blackhole',
    guarantee: 'at-least-once',
    createWriter: (context) => new BlackholeWriter<T>(options, context),
  }
}

class BlackholeWriter<T> implements SinkWriter<T, SubtaskTotals> {
  readonly #options: BlackholeOptions
  readonly #context: SinkContext
  readonly #hashing: boolean
  #count = 0
  #checksum = 0

  constructor(options: BlackholeOptions, context: SinkContext) {
    this.#options = options
    this.#context = context
    this.#hashing = options.checksum ?? false
  }

  write(value: T): void {
    this.#count++
    if (this.#hashing) this.#checksum = (this.#checksum + hashKey(value ?? null)) >>> 0
  }

  prepare(): Promise<SubtaskTotals> {
    return Promise.resolve({ subtask: this.#context.subtask, totals: this.#totals() })
  }

  commit({ subtask, totals }: SubtaskTotals): Promise<CommitOutcome> {
    this.#options.onTotals?.(totals, subtask)
    return Promise.resolve('committed')
  }

  close(): void {
    const totals = this.#totals()
    this.#options.onTotals?.(totals, this.#context.subtask)
    this.#context.logger.info(totals, 'blackhole closed')
  }

  #totals(): BlackholeTotals {
    return { count: this.#count, checksum: this.#checksum }
  }
}
