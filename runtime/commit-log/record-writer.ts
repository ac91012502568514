import { backoffDelay } from '#runtime/base/backoff'
import { sleep, type Clock } from '#runtime/base/clock'
import { messageOf, WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { FORMAT_VERSION, type LogBody, type LogRecord } from '#runtime/contract/checkpoint-records'
import type { CallOptions, CheckpointStore } from '#runtime/storage/checkpoint-store'
import { keyUrl, logRecordKey } from '#runtime/storage/paths'
import { decodeRecord, encodeJson, newestSnapshotAbove } from './log-reader.ts'
import { foldRecord, type LogState } from './log-state.ts'

/** A record that was sent and whose outcome is not known. It may stand in the log. */
export interface InDoubt {
  readonly kind: LogBody['kind']
  readonly seq: number
  /** Wall clock, of the first try. */
  readonly since: number
  readonly tries: number
  readonly message: string
}

export type WriteOutcome =
  | { readonly kind: 'own' }
  /** Another's record stands there: this one never will. */
  | { readonly kind: 'other'; readonly record: LogRecord }
  /** A snapshot at or above the seq: whether the record is part of it cannot be known. */
  | { readonly kind: 'freed' }

export interface WriteOptions extends CallOptions {
  /** Called with each try that leaves the outcome open, and with undefined once it is certain. */
  readonly onDoubt?: ((inDoubt: InDoubt | undefined) => void) | undefined
}

export interface RecordWriterOptions {
  readonly store: CheckpointStore
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
}

const BACKOFF = { initialMs: 50, maxMs: 2000, multiplier: 2, jitter: 0.2 }

export interface RecordStamp {
  readonly seq: number
  readonly epoch: number
  readonly at: number
  readonly random: () => number
}

/** A record with a nonce of its own, by which its bytes are told from anybody else's. */
export function newRecord(body: LogBody, { seq, epoch, at, random }: RecordStamp): LogRecord {
  const hex = (n: number): string =>
    Math.floor(n * 2 ** 52)
      .toString(16)
      .padStart(13, '0')
  return { v: FORMAT_VERSION, seq, epoch, at: Math.round(at), nonce: hex(random()) + hex(random()), body }
}

/** Brings one record to its place in the log, and does not stop before the outcome is certain. */
export class RecordWriter {
  readonly #options: RecordWriterOptions

  constructor(options: RecordWriterOptions) {
    this.#options = options
  }

  /** @throws {WeirError} BUG when readers would refuse the record after `state`. */
  checkReadable(state: LogState, record: LogRecord): void {
    try {
      foldRecord(state, record)
    } catch (error) {
      throw new WeirError(
        'BUG',
        `Weir tried to write a commit log record that it could not read back: ${messageOf(error)}`,
        { cause: error },
      )
    }
  }

  /**
   * Creates the record: the same bytes at the same key until it is certain who stands there.
   * Rejects with the signal's reason when it aborts (the record may then stand or not), and with
   * an error of the store only where the record certainly does not exist and never will.
   * @throws {WeirError} STO_DENIED; STO_CORRUPT when what stands there cannot be read
   */
  async write(record: LogRecord, options: WriteOptions = {}): Promise<WriteOutcome> {
    const { clock, random, logger, store } = this.#options
    const bytes = encodeJson(record)
    const since = clock.now()
    let mayExist = false
    for (let tries = 1; ; tries++) {
      options.signal?.throwIfAborted()
      try {
        const answer = await this.#create(record.seq, bytes, options)
        mayExist = true
        const outcome = await this.#judge(answer, record, bytes, options)
        options.onDoubt?.(undefined)
        return outcome
      } catch (error) {
        options.signal?.throwIfAborted()
        if (!leavesOpen(error, mayExist)) {
          options.onDoubt?.(undefined)
          throw error
        }
        mayExist = true
        const { kind } = record.body
        const where = keyUrl(store.url, logRecordKey(record.seq))
        const message = `The outcome of ${kind} at ${where} is open after ${tries} tries: ${messageOf(error)}`
        options.onDoubt?.({ kind, seq: record.seq, since, tries, message })
        logger.warn(
          { seq: record.seq, kind, tries, err: error },
          'log append in doubt, the same bytes are sent again',
        )
        await sleep(clock, backoffDelay(BACKOFF, tries, random()), options.signal)
      }
    }
  }

  /** Create; after an unknown outcome the key is read back at once: what stands there decides. */
  async #create(seq: number, bytes: Uint8Array, call: CallOptions): Promise<'created' | 'exists'> {
    const { store } = this.#options
    try {
      return await store.create(logRecordKey(seq), bytes, call)
    } catch (error) {
      if (!isUnanswered(error)) throw error
      try {
        await store.get(logRecordKey(seq), call)
        return 'exists'
      } catch {
        throw error
      }
    }
  }

  async #judge(
    answer: 'created' | 'exists',
    record: LogRecord,
    bytes: Uint8Array,
    call: CallOptions,
  ): Promise<WriteOutcome> {
    const { store } = this.#options
    if (answer === 'exists') {
      const stored = await store.get(logRecordKey(record.seq), call)
      if (Buffer.compare(stored, bytes) !== 0)
        return { kind: 'other', record: decodeRecord(store, record.seq, stored) }
    }
    return (await newestSnapshotAbove(store, record.seq - 1, call)) === undefined
      ? { kind: 'own' }
      : { kind: 'freed' }
  }
}

/** STO_MISSING: the key vanished between `exists` and the read, by a compaction or a tool. */
const isUnanswered = (error: unknown): boolean =>
  error instanceof WeirError && (error.code === 'STO_UNAVAILABLE' || error.code === 'STO_MISSING')

/** A refusal says that nothing was written, but says nothing about an earlier, unanswered try. */
const leavesOpen = (error: unknown, mayExist: boolean): boolean =>
  isUnanswered(error) || (mayExist && error instanceof WeirError && error.code === 'STO_DENIED')
