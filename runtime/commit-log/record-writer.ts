/**
 * Brings one record to its place in the log, and does not stop before the outcome is certain.
 *
 * W1 The same bytes go to the same key until somebody's bytes are known to stand there.
 * W2 A refusal (no permission, no conditional create) proves that nothing was written only as long
 *    as no earlier try may have been: after one that may, everything but an answer leaves the
 *    outcome open.
 * W3 Whatever is under way ends at once when the signal aborts, whether the store answers or not.
 */
import { abortable } from '#runtime/base/abort'
import { backoffDelay } from '#runtime/base/backoff'
import { sleep, type Clock } from '#runtime/base/clock'
import { messageOf, WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { FORMAT_VERSION, type LogBody, type LogRecord } from '#runtime/contract/checkpoint-records'
import type { Epoch } from '#runtime/contract/ids'
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
  /** What the last try failed with. */
  readonly cause: string
}

export type WriteOutcome =
  | { readonly kind: 'own' }
  /** Another's record stands there: this one never will. */
  | { readonly kind: 'other'; readonly record: LogRecord }
  /** A snapshot at or above the seq: whether the record is part of it cannot be known. */
  | { readonly kind: 'freed' }

export interface WriteOptions extends CallOptions {
  /** Called with each try that leaves the outcome open. */
  readonly onDoubt?: ((inDoubt: InDoubt) => void) | undefined
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
  readonly epoch: Epoch
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

/** Codes with which a store says that it did nothing, and why a person must help. */
const REFUSALS = new Set(['STO_DENIED', 'STO_UNSAFE'])

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
   * Rejects with the signal's reason when it aborts (the record may then stand or not), and with
   * an error of the store only where the record certainly does not exist and never will.
   * @throws {WeirError} STO_DENIED, STO_UNSAFE; STO_CORRUPT when what stands there cannot be read
   */
  async write(record: LogRecord, options: WriteOptions = {}): Promise<WriteOutcome> {
    const { clock, random, logger } = this.#options
    const { signal } = options
    const bytes = encodeJson(record)
    const since = clock.now()
    const sent = { mayExist: false, inDoubt: false }
    for (let tries = 1; ; tries++) {
      signal?.throwIfAborted()
      try {
        const stored = await abortable(this.#place(record.seq, bytes, sent, options), signal)
        const outcome = await this.#outcome(record, { stored, bytes, options })
        if (sent.inDoubt) {
          const { kind } = record.body
          logger.info({ seq: record.seq, kind, tries, outcome: outcome.kind }, 'log append certain')
        }
        return outcome
      } catch (error) {
        signal?.throwIfAborted()
        if (isFinal(error, sent.mayExist)) throw error
        sent.mayExist = true
        sent.inDoubt = true
        this.#note(record, { since, tries, error, options })
        await sleep(clock, backoffDelay(BACKOFF, tries, random()), signal)
      }
    }
  }

  /** What the bytes that certainly stand at the record's place mean for the term. */
  async #outcome(
    record: LogRecord,
    { stored, bytes, options }: { stored: Uint8Array; bytes: Uint8Array; options: WriteOptions },
  ): Promise<WriteOutcome> {
    const { store } = this.#options
    if (Buffer.compare(stored, bytes) !== 0)
      return { kind: 'other', record: decodeRecord(store, record.seq, stored) }
    const newer = await abortable(newestSnapshotAbove(store, record.seq - 1, options), options.signal)
    return newer === undefined ? { kind: 'own' } : { kind: 'freed' }
  }

  /** Creates the object; gives the bytes that stand at its key as soon as any certainly do. */
  async #place(
    seq: number,
    bytes: Uint8Array,
    sent: { mayExist: boolean; inDoubt: boolean },
    call: CallOptions,
  ): Promise<Uint8Array> {
    const { store } = this.#options
    const key = logRecordKey(seq)
    let answer: 'created' | 'exists'
    try {
      answer = await store.create(key, bytes, call)
    } catch (error) {
      if (isFinal(error, sent.mayExist)) throw error
      sent.mayExist = true
      sent.inDoubt = true
      return await store.get(key, call).catch(() => {
        throw error
      })
    }
    sent.mayExist = true
    return answer === 'created' ? bytes : store.get(key, call)
  }

  #note(
    { seq, body: { kind } }: LogRecord,
    { since, tries, error, options }: { since: number; tries: number; error: unknown; options: WriteOptions },
  ): void {
    const { store, logger } = this.#options
    const where = keyUrl(store.url, logRecordKey(seq))
    const message = `The outcome of ${kind} at ${where} is open after ${tries} tries: ${messageOf(error)}`
    options.onDoubt?.({ kind, seq, since, tries, message, cause: messageOf(error) })
    if (isPowerOfTwo(tries))
      logger.warn({ seq, kind, tries, err: error }, 'log append in doubt, the same bytes are sent again')
  }
}

/** Nothing that a further try could change. */
const isFinal = (error: unknown, mayExist: boolean): boolean =>
  error instanceof WeirError && (error.code === 'STO_CORRUPT' || (!mayExist && REFUSALS.has(error.code)))

/** A long outage is logged ever more rarely. */
const isPowerOfTwo = (n: number): boolean => (n & (n - 1)) === 0
