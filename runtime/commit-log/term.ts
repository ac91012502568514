/**
 * A coordinator's term of leadership: the right to append under one epoch. An append belongs to its
 * term: whatever became of the process since, a record is written under the epoch whose leader
 * decided it, or not at all.
 *
 * T1 Once over, a term appends nothing more, and what is under way answers `over`; the record may
 *    then stand in the log or not, so nobody is told that it was appended, nor that it was not.
 * T2 Appends run one after another, in the order of the calls.
 * T3 Whatever is appended, the log stays short: a snapshot when it is due, one at a time.
 */
import { messageOf, WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { LogBody, LogRecord } from '#runtime/contract/checkpoint-records'
import type { Epoch } from '#runtime/contract/ids'
import type { CallOptions } from '#runtime/storage/checkpoint-store'
import type { LogState } from './log-state.ts'
import type { InDoubt, WriteOptions, WriteOutcome } from './record-writer.ts'

export type AppendOutcome =
  | { readonly kind: 'appended'; readonly record: LogRecord }
  /** The term is over. The record may stand in the log. */
  | { readonly kind: 'over'; readonly error: WeirError }
  /** The record certainly does not stand in the log and never will; the term goes on. */
  | { readonly kind: 'refused'; readonly error: WeirError }

/** What a term needs of the log that it was opened in. */
export interface TermLog {
  readonly state: LogState
  /** Enough records have gathered behind the newest snapshot. */
  readonly isCompactionDue: boolean
  write(
    body: LogBody,
    epoch: Epoch,
    options: WriteOptions,
  ): Promise<{ readonly record: LogRecord; readonly outcome: WriteOutcome }>
  forgetRetirements(seqs: ReadonlySet<number>): void
  compact(options: CallOptions): Promise<void>
}

export class Term {
  readonly epoch: Epoch
  readonly #log: TermLog
  readonly #logger: Logger
  readonly #ended = new AbortController()
  #inDoubt: InDoubt | undefined
  #over: WeirError | undefined
  #compacting: Promise<void> | undefined

  constructor(epoch: Epoch, log: TermLog, logger: Logger) {
    this.epoch = epoch
    this.#log = log
    this.#logger = logger
  }

  /** What the log says up to its head as this process knows it. */
  get state(): LogState {
    return this.#log.state
  }

  /** Why the term is over; undefined while it lasts. */
  get over(): WeirError | undefined {
    return this.#over
  }

  /** The record that is being written and whose outcome is open; undefined when there is none. */
  get inDoubt(): InDoubt | undefined {
    return this.#inDoubt
  }

  /** Appends at the head until that is certain, however long the store is away. Never rejects. */
  async append(body: LogBody): Promise<AppendOutcome> {
    const { signal } = this.#ended
    try {
      const { record, outcome } = await this.#log.write(body, this.epoch, {
        signal,
        onDoubt: (inDoubt) => {
          this.#inDoubt = inDoubt
        },
      })
      if (outcome.kind !== 'own') return { kind: 'over', error: this.#depose(record, outcome) }
      signal.throwIfAborted()
      void this.compactIfDue()
      return { kind: 'appended', record }
    } catch (error) {
      if (this.over !== undefined) return { kind: 'over', error: this.over }
      if (error instanceof WeirError && error.code === 'STO_CORRUPT')
        return { kind: 'over', error: this.end(error) }
      return { kind: 'refused', error: asWeirError(error) }
    } finally {
      this.#inDoubt = undefined
    }
  }

  /** Ends the term. Only the first reason counts; gives that one. */
  end(reason: WeirError): WeirError {
    if (this.#over !== undefined) return this.#over
    this.#over = reason
    if (this.#inDoubt !== undefined) {
      const { kind, seq } = this.#inDoubt
      this.#logger.warn({ seq, kind, epoch: this.epoch }, 'term over with a record in doubt')
    }
    this.#ended.abort(reason)
    return reason
  }

  /**
   * Drops the named retirements (seqs) from the state: their files are gone. Lasting with the next
   * compaction; before it, a new leader deletes again.
   */
  forgetRetirements(seqs: ReadonlySet<number>): void {
    this.#log.forgetRetirements(seqs)
  }

  /**
   * Writes a snapshot of the log when one is due, and deletes what an older one has covered for
   * longer than the grace. Called when the term begins and after each append; failures are logged,
   * and a later call does the work.
   */
  compactIfDue(): Promise<void> {
    if (this.over !== undefined) return Promise.resolve()
    if (this.#compacting !== undefined) return this.#compacting
    if (!this.#log.isCompactionDue) return Promise.resolve()
    this.#compacting = this.#compact().finally(() => {
      this.#compacting = undefined
    })
    return this.#compacting
  }

  async #compact(): Promise<void> {
    const { signal } = this.#ended
    try {
      await this.#log.compact({ signal })
    } catch (error) {
      if (!signal.aborted) this.#logger.warn({ err: error }, 'log not compacted, a later append tries again')
    }
  }

  #depose(own: LogRecord, outcome: Exclude<WriteOutcome, { kind: 'own' }>): WeirError {
    const other = outcome.kind === 'other' ? outcome.record : undefined
    const by =
      other === undefined
        ? 'the log was compacted beyond it'
        : `epoch ${other.epoch} wrote ${other.body.kind} there`
    this.#logger.warn(
      { seq: own.seq, kind: own.body.kind, epoch: this.epoch, otherEpoch: other?.epoch },
      'coordinator deposed',
    )
    return this.end(
      new WeirError(
        'FENCED',
        `Epoch ${this.epoch} is over: ${own.body.kind} at log seq ${own.seq} lost, ${by}.`,
        { context: { seq: own.seq, ownEpoch: this.epoch, epoch: other?.epoch } },
      ),
    )
  }
}

const asWeirError = (error: unknown): WeirError =>
  error instanceof WeirError ? error : new WeirError('BUG', messageOf(error), { cause: error })
