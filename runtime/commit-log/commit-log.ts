import { backoffDelay } from '#runtime/base/backoff'
import { type Clock, sleep } from '#runtime/base/clock'
import { invariant, messageOf, WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { JobIdentity } from '#runtime/contract/job-options'
import type { CallOptions, CheckpointStore } from '#runtime/storage/checkpoint-store'
import { keyUrl, logRecordKey } from '#runtime/storage/paths'
import { compactLog, type CompactOptions } from './log-compaction.ts'
import {
  decodeRecord,
  encodeJson,
  type LogRead,
  newestSnapshotAbove,
  readLog,
  readRecord,
} from './log-reader.ts'
import { foldRecord, type LogState, withoutRetirements } from './log-state.ts'
import {
  FORMAT_VERSION,
  type LogBody,
  type LogRecord,
  type LogRecordOf,
} from '#runtime/contract/checkpoint-records'

export interface CommitLogOptions {
  readonly store: CheckpointStore
  readonly clock: Clock
  /**
   * [0, 1); two draws make the nonce that tells own bytes from others', so candidates must not
   * share a sequence.
   */
  readonly random: () => number
  readonly logger: Logger
}

export interface AppendOptions extends CallOptions {
  /**
   * Time after which an append whose outcome stays unknown rejects with STO_UNAVAILABLE; it is then
   * still in doubt, `settle` goes on. Default 60 s.
   */
  readonly limitMs?: number
}

export interface OpenEpochOptions extends AppendOptions {
  readonly run: number
  readonly leader: string
  /** The epoch will be at least this: what the election counted. */
  readonly floor: number
  /** For offline tools: open an epoch on a run that was closed. */
  readonly force?: boolean
}

/**
 * An append that was sent and whose outcome is not known. It may have happened: it must never be
 * treated as aborted.
 */
export interface InDoubt {
  readonly record: LogRecord
  readonly since: number
  readonly tries: number
}

type Outcome =
  | { readonly kind: 'own' }
  | { readonly kind: 'other'; readonly record: LogRecord }
  | { readonly kind: 'freed' }

const BACKOFF = { initialMs: 50, maxMs: 2000, multiplier: 2, jitter: 0.2 }

/**
 * The job's commit log: who may decide, and what is decided. One instance per process; calls run
 * one after the other.
 *
 * L1 A record is appended only at head + 1, by create, and never skipped: while one is in doubt the
 *    only write is the identical bytes at the same seq.
 * L2 Another's record at one's seq means deposed: every append from then on rejects with FENCED.
 * L3 An own record is believed only when no snapshot is at or above its seq: such a key may have
 *    been freed by compaction and won by a process that slept.
 * L4 Nothing is written that `foldRecord` would refuse to read.
 */
export class CommitLog {
  readonly #options: CommitLogOptions
  #state: LogState
  /** seq of the newest snapshot known; -1: none. */
  #snapshot: number
  /** Epoch that this instance opened; 0: it only reads. */
  #epoch = 0
  #inDoubt: InDoubt | undefined
  #fenced: WeirError | undefined
  #queue: Promise<unknown> = Promise.resolve()

  private constructor(options: CommitLogOptions, read: LogRead) {
    this.#options = options
    this.#state = read.state
    this.#snapshot = read.snapshot
  }

  /**
   * Reads to the head. @throws {WeirError} STO_CORRUPT naming the key of a damaged or missing
   * record.
   */
  static async open(options: CommitLogOptions, call: CallOptions = {}): Promise<CommitLog> {
    return new CommitLog(options, await readLog(options.store, call))
  }

  get state(): LogState {
    return this.#state
  }
  /** seq of the newest record known; -1 for an empty log. */
  get head(): number {
    return this.#state.head
  }
  /** Records that a reader has to fetch one by one; compact when they are some hundred. */
  get recordsSinceSnapshot(): number {
    return this.#state.head - this.#snapshot
  }
  /** The epoch that this instance may append under; 0 before `openEpoch`. */
  get epoch(): number {
    return this.#epoch
  }
  get inDoubt(): InDoubt | undefined {
    return this.#inDoubt
  }
  /** Set once this instance was deposed. */
  get fenced(): WeirError | undefined {
    return this.#fenced
  }

  /**
   * Reads what others appended. A holder of an epoch that finds a higher one is fenced from then
   * on.
   */
  refresh(call: CallOptions = {}): Promise<LogState> {
    return this.#exclusive(async () => {
      await this.#readOn(call)
      return this.#state
    })
  }

  /** Makes `job` the owner of an empty log. @throws {WeirError} STO_OWNED_BY_ANOTHER */
  ensureOwner(job: JobIdentity, options: AppendOptions = {}): Promise<void> {
    return this.#exclusive(async () => {
      await this.#settleEarlier(options)
      while (this.#state.owner === undefined) {
        const { cluster, namespace, name, uid } = job
        const record = this.#record({ kind: 'OWNER', cluster, namespace, name, uid }, 0)
        const outcome = await this.#write(record, options)
        if (outcome.kind === 'own') this.#accept(record)
        else await this.#readOn(options)
      }
      const { owner } = this.#state
      if (
        owner.cluster === job.cluster &&
        owner.namespace === job.namespace &&
        owner.name === job.name &&
        owner.uid === job.uid
      )
        return
      throw new WeirError(
        'STO_OWNED_BY_ANOTHER',
        `${this.#options.store.url} belongs to ${identityText(owner)}; this is ${identityText(job)}. Use another prefix, or restore from its checkpoint explicitly.`,
        { context: { owner, job } },
      )
    })
  }

  /**
   * Opens an epoch above every one in the log and at least `floor`, at whatever seq is free; only
   * then may the restore point be chosen. After STO_UNAVAILABLE it may be called again: an
   * EPOCH_OPEN in doubt is settled first.
   * @throws {WeirError} FENCED when a newer run exists, or this run was closed and `force` is not
   *   set.
   */
  openEpoch(options: OpenEpochOptions): Promise<number> {
    return this.#exclusive(async () => {
      for (;;) {
        await this.#settleEarlier(options)
        await this.#readOn(options)
        this.#checkRun(options)
        const epoch = Math.max(this.#state.epoch + 1, options.floor)
        const record = this.#record(
          { kind: 'EPOCH_OPEN', epoch, run: options.run, leader: options.leader },
          epoch,
        )
        const outcome = await this.#write(record, options)
        if (outcome.kind === 'own') {
          this.#accept(record)
          this.#epoch = epoch
          this.#fenced = undefined
          this.#options.logger.info(
            { epoch, seq: record.seq, run: options.run, leader: options.leader },
            'epoch opened',
          )
          return epoch
        }
      }
    })
  }

  /**
   * Appends at head + 1 under the own epoch and resolves with the record once it is certain.
   * @throws {WeirError} FENCED when deposed (context.epoch: the other's, whose record stands at
   *   this seq; absent: the log was compacted beyond it, and after an earlier unknown outcome the
   *   record may be in it; either way this coordinator stops and undoes nothing); STO_UNAVAILABLE
   *   when the outcome is still unknown after `limitMs`: `inDoubt` is then set, and only `settle`
   *   (or the death of the process) may follow.
   */
  append(body: LogBody, options: AppendOptions = {}): Promise<LogRecord> {
    return this.#exclusive(async () => {
      if (this.#fenced !== undefined) throw this.#fenced
      invariant(this.#epoch > 0, `${body.kind} appended without an epoch`)
      invariant(
        this.#inDoubt === undefined,
        `${body.kind} appended while log record ${this.#inDoubt?.record.seq} is in doubt`,
      )
      return this.#finish(this.#record(body, this.#epoch), options)
    })
  }

  /**
   * Goes on with an append in doubt until its outcome is certain. Resolves like `append`; undefined
   * when nothing is in doubt.
   */
  settle(options: AppendOptions = {}): Promise<LogRecord | undefined> {
    return this.#exclusive(async () => {
      const record = this.#inDoubt?.record
      if (record === undefined) return undefined
      invariant(
        record.body.kind !== 'OWNER' && record.body.kind !== 'EPOCH_OPEN',
        `${record.body.kind} in doubt: repeat the call that made it`,
      )
      return this.#finish(record, options)
    })
  }

  /**
   * Drops the named retirements (seqs) from the state: their files are gone. Lasting with the next
   * compaction; before it, a new leader deletes again.
   */
  forgetRetirements(seqs: ReadonlySet<number>): void {
    this.#state = withoutRetirements(this.#state, seqs)
  }

  /**
   * Writes a snapshot of the log and deletes what an older snapshot has covered for longer than the
   * grace. Only the holder of the epoch calls it.
   */
  compact(options: CompactOptions = {}): Promise<void> {
    return this.#exclusive(async () => {
      if (this.#fenced !== undefined) throw this.#fenced
      invariant(this.#epoch > 0, 'log compacted without an epoch')
      invariant(
        this.#inDoubt === undefined,
        `log compacted while record ${this.#inDoubt?.record.seq} is in doubt`,
      )
      await compactLog(this.#options.store, this.#state, options)
      this.#snapshot = this.#state.head
    })
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work)
    this.#queue = result.catch(() => undefined)
    return result
  }

  #record(body: LogBody, epoch: number): LogRecord {
    const { clock, random } = this.#options
    const nonce = [random(), random()]
      .map((n) =>
        Math.floor(n * 2 ** 52)
          .toString(16)
          .padStart(13, '0'),
      )
      .join('')
    return { v: FORMAT_VERSION, seq: this.#state.head + 1, epoch, at: Math.round(clock.now()), nonce, body }
  }

  #accept(record: LogRecord): void {
    this.#state = foldRecord(this.#state, record)
  }

  /**
   * Settles whatever an earlier call left in doubt, so that its seq is decided before a new record
   * is made.
   */
  async #settleEarlier(options: AppendOptions): Promise<void> {
    const record = this.#inDoubt?.record
    if (record === undefined) return
    if ((await this.#write(record, options)).kind === 'own') this.#accept(record)
  }

  async #finish(record: LogRecord, options: AppendOptions): Promise<LogRecord> {
    const outcome = await this.#write(record, options)
    if (outcome.kind === 'own') {
      this.#accept(record)
      return record
    }
    throw this.#depose(outcome.kind === 'other' ? outcome.record : undefined, record)
  }

  #depose(other: LogRecord | undefined, own: LogRecord): WeirError {
    const by =
      other === undefined
        ? 'the log was compacted beyond it'
        : `epoch ${other.epoch} wrote ${other.body.kind} there`
    this.#fenced = new WeirError(
      'FENCED',
      `Epoch ${this.#epoch} is over: ${own.body.kind} at log seq ${own.seq} lost, ${by}.`,
      {
        context: { seq: own.seq, ownEpoch: this.#epoch, epoch: other?.epoch },
      },
    )
    this.#options.logger.warn(
      { seq: own.seq, epoch: this.#epoch, otherEpoch: other?.epoch },
      'coordinator fenced',
    )
    return this.#fenced
  }

  #checkRun({ run, force }: OpenEpochOptions): void {
    const { run: newest, closed, owner } = this.#state
    invariant(owner !== undefined, 'epoch opened on a log without owner')
    if (run < newest)
      throw new WeirError(
        'FENCED',
        `Run ${run} is over: the log is at run ${newest}. This process stops for good.`,
        {
          context: { run, newestRun: newest },
        },
      )
    if (run === newest && closed !== undefined && force !== true)
      throw new WeirError(
        'FENCED',
        `Run ${run} was closed as ${closed.status} at log seq ${closed.seq}; only a greater run may go on.`,
        {
          context: { run, status: closed.status },
        },
      )
  }

  async #readOn(call: CallOptions): Promise<void> {
    // The record at head + 1 may be the own one in doubt: its append decides what it is.
    if (this.#inDoubt !== undefined) return
    for (;;) {
      const record = await readRecord(this.#options.store, this.#state.head + 1, call)
      if (record === undefined) break
      this.#acceptForeign(record)
    }
    const snapshot = await newestSnapshotAbove(this.#options.store, this.#state.head, call)
    if (snapshot === undefined) return
    // Others went on and compacted while this process slept.
    const { state, snapshot: from } = await readLog(this.#options.store, call)
    this.#state = state
    this.#snapshot = from
    this.#noticeEpoch(state.epoch)
  }

  #acceptForeign(record: LogRecord): void {
    this.#accept(record)
    this.#noticeEpoch(record.epoch)
  }

  #noticeEpoch(epoch: number): void {
    if (this.#epoch === 0 || epoch <= this.#epoch || this.#fenced !== undefined) return
    this.#fenced = new WeirError('FENCED', `Epoch ${this.#epoch} is over: epoch ${epoch} was opened.`, {
      context: { ownEpoch: this.#epoch, epoch },
    })
  }

  /** Creates the record until its outcome is certain, or the limit passes with it in doubt. */
  async #write(record: LogRecord, options: AppendOptions): Promise<Outcome> {
    const { clock, random, logger, store } = this.#options
    this.#checkReadable(record)
    const bytes = encodeJson(record)
    const start = clock.monotonic()
    let mayExist = this.#inDoubt !== undefined
    for (let tries = 1; ; tries++) {
      this.#inDoubt = { record, since: this.#inDoubt?.since ?? clock.now(), tries }
      try {
        const answer = await this.#create(record.seq, bytes, options)
        mayExist = true
        const outcome = await this.#judge(answer, record, bytes, options)
        this.#inDoubt = undefined
        return outcome
      } catch (error) {
        if (!isUnknown(error)) {
          // A refusal of the first create is certain. An abort (no WeirError) may have left the
          // request in flight.
          if (error instanceof WeirError && !mayExist) this.#inDoubt = undefined
          throw error
        }
        mayExist = true
        const delay = backoffDelay(BACKOFF, tries, random())
        const waited = clock.monotonic() - start
        if (waited + delay > (options.limitMs ?? 60_000))
          throw new WeirError(
            'STO_UNAVAILABLE',
            `The outcome of ${record.body.kind} at ${keyUrl(store.url, logRecordKey(record.seq))} is unknown after ${tries} tries in ${Math.round(waited)} ms: ${messageOf(error)}`,
            { cause: error, context: { seq: record.seq, kind: record.body.kind, inDoubt: true } },
          )
        logger.warn(
          { seq: record.seq, kind: record.body.kind, tries, err: error },
          'log append in doubt, trying the same bytes again',
        )
        await sleep(clock, delay, options.signal)
      }
    }
  }

  /**
   * Create; after an unknown outcome the key is read back at once: present decides, absent leaves
   * it unknown (the caller tries the same bytes again).
   */
  async #create(seq: number, bytes: Uint8Array, call: CallOptions): Promise<'created' | 'exists'> {
    const { store } = this.#options
    try {
      return await store.create(logRecordKey(seq), bytes, call)
    } catch (error) {
      if (!isUnknown(error)) throw error
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
  ): Promise<Outcome> {
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

  #checkReadable(record: LogRecord): void {
    try {
      foldRecord(this.#state, record)
    } catch (error) {
      throw new WeirError(
        'BUG',
        `Weir tried to write a commit log record that it could not read back: ${messageOf(error)}`,
        {
          cause: error,
        },
      )
    }
  }
}

/**
 * STO_MISSING: the key vanished between `exists` and the read, by a compaction or a tool; the next
 * try will tell.
 */
const isUnknown = (error: unknown): boolean =>
  error instanceof WeirError && (error.code === 'STO_UNAVAILABLE' || error.code === 'STO_MISSING')

const identityText = (job: Omit<LogRecordOf<'OWNER'>, 'kind'>): string =>
  `job ${job.namespace}/${job.name} (uid ${job.uid}, cluster ${job.cluster})`
