/**
 * The job's commit log: who may decide, and what is decided. One instance per process; it reads.
 * Whoever is elected opens an epoch in it and gets a Term, which alone can append.
 *
 * L1 A record is appended only at head + 1, by create, and never skipped: while it is in doubt the
 *    only write of its term is the identical bytes at the same seq.
 * L2 Another's record at one's seq, or a greater epoch anywhere, means deposed: the term is over.
 * L3 An own record is believed only when no snapshot is at or above its seq: such a key may have
 *    been freed by compaction and won by a process that slept.
 * L4 Nothing is written that `foldRecord` would refuse to read.
 * L5 What a term left in doubt dies with the term: the next one reads the head again, finds the
 *    record there or takes its place.
 * L6 Records are believed by readers only while no snapshot is at or above them, for the same
 *    reason as L3; then the log is read from that snapshot.
 */
import { abortable } from '#runtime/base/abort'
import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { LogRecord, LogRecordOf } from '#runtime/contract/checkpoint-records'
import type { Epoch, RunNumber } from '#runtime/contract/ids'
import type { JobIdentity } from '#runtime/contract/job-options'
import type { CallOptions, CheckpointStore } from '#runtime/storage/checkpoint-store'
import { COMPACTION, deleteCovered, writeSnapshot, type CompactionOptions } from './log-compaction.ts'
import { readLog, readOn, type LogRead } from './log-reader.ts'
import { foldRecord, withoutRetirements, type LogState } from './log-state.ts'
import { RecordWriter, newRecord, type WriteOutcome } from './record-writer.ts'
import { Term, type TermLog } from './term.ts'

export interface CommitLogOptions {
  readonly store: CheckpointStore
  readonly clock: Clock
  /**
   * [0, 1); two draws make the nonce that tells own bytes from others', so candidates must not
   * share a sequence.
   */
  readonly random: () => number
  readonly logger: Logger
  readonly compaction?: CompactionOptions
}

export interface OpenEpochOptions extends CallOptions {
  readonly run: RunNumber
  readonly leader: string
  /** The epoch will be at least this: what the election counted. */
  readonly floor: number
  /** For offline tools: open an epoch on a run that was closed. */
  readonly force?: boolean
}

export class CommitLog {
  readonly #options: CommitLogOptions
  readonly #writer: RecordWriter
  #state: LogState
  /** seq of the newest snapshot known; -1: none. */
  #snapshot: number
  #term: Term | undefined
  #queue: Promise<unknown> = Promise.resolve()

  private constructor(options: CommitLogOptions, read: LogRead) {
    this.#options = options
    this.#writer = new RecordWriter(options)
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

  /** Reads what others appended. A standby calls it from time to time, so that little is left. */
  refresh(call: CallOptions = {}): Promise<LogState> {
    return this.#exclusive(async () => {
      await this.#readOn(call)
      return this.#state
    })
  }

  /**
   * Makes `job` the owner of an empty log. @throws {WeirError} STO_OWNED_BY_ANOTHER,
   * STO_UNAVAILABLE, STO_DENIED
   */
  ensureOwner(job: JobIdentity, call: CallOptions = {}): Promise<void> {
    return this.#exclusive(async () => {
      if (this.#state.owner === undefined) await this.#readOn(call)
      while (this.#state.owner === undefined) {
        const { cluster, namespace, name, uid } = job
        const record = this.#record({ kind: 'OWNER', cluster, namespace, name, uid }, 0)
        if (!this.#accepts(record, await this.#writer.write(record, call))) await this.#readOn(call)
      }
      const { owner } = this.#state
      const isSame =
        owner.cluster === job.cluster &&
        owner.namespace === job.namespace &&
        owner.name === job.name &&
        owner.uid === job.uid
      if (isSame) return
      throw new WeirError(
        'STO_OWNED_BY_ANOTHER',
        `${this.#options.store.url} belongs to ${identityText(owner)}; this is ${identityText(job)}. ` +
          'Use another prefix, or restore from its checkpoint explicitly.',
        { context: { owner, job } },
      )
    })
  }

  /**
   * Opens an epoch above every one in the log and at least `floor`, at whatever seq is free; only
   * then may the restore point be chosen. An earlier term of this process is over from then on.
   * Once sent, it goes on until the outcome is certain or `signal` aborts.
   * @throws {WeirError} FENCED when a newer run exists, or this run was closed and `force` is not
   * set; STO_UNAVAILABLE when the log cannot be read; STO_DENIED; STO_CORRUPT
   */
  async openEpoch(options: OpenEpochOptions): Promise<Term> {
    this.#endTerm()
    return this.#exclusive(async () => {
      this.#endTerm()
      for (;;) {
        options.signal?.throwIfAborted()
        await this.#readOn(options)
        this.#checkRun(options)
        const epoch = Math.max(this.#state.epoch + 1, options.floor)
        const { run, leader } = options
        const record = this.#record({ kind: 'EPOCH_OPEN', epoch, run, leader }, epoch)
        if (!this.#accepts(record, await this.#writer.write(record, options))) {
          this.#options.logger.info({ epoch, seq: record.seq }, 'another was faster, reading on')
          continue
        }
        this.#options.logger.info({ epoch, seq: record.seq, run, leader }, 'epoch opened')
        const term = new Term(epoch, this.#termLog(), this.#options.logger)
        this.#term = term
        void term.compactIfDue()
        return term
      }
    })
  }

  #endTerm(): void {
    this.#term?.end(new WeirError('FENCED', `Epoch ${this.#term.epoch} is over: this process opens another.`))
    this.#term = undefined
  }

  /** What a term may do with the log. */
  #termLog(): TermLog {
    const log = this
    const { afterRecords } = this.#compaction
    return {
      get state() {
        return log.#state
      },
      get isCompactionDue() {
        return log.#state.head - log.#snapshot >= afterRecords
      },
      write: (body, epoch, options) =>
        this.#exclusive(async () => {
          options.signal?.throwIfAborted()
          const record = this.#record(body, epoch)
          const outcome = await this.#writer.write(record, options)
          if (outcome.kind === 'own') this.#accept(record)
          return { record, outcome }
        }),
      forgetRetirements: (seqs) => {
        this.#state = withoutRetirements(this.#state, seqs)
      },
      compact: (call) => this.#compact(call),
    }
  }

  get #compaction(): CompactionOptions {
    return this.#options.compaction ?? COMPACTION
  }

  async #compact(call: CallOptions): Promise<void> {
    const { store } = this.#options
    const state = this.#state
    await writeSnapshot(store, state, call)
    this.#snapshot = Math.max(this.#snapshot, state.head)
    await deleteCovered(store, this.#compaction.graceMs, call)
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work)
    this.#queue = result.catch(() => undefined)
    return result
  }

  #record(body: LogRecord['body'], epoch: Epoch): LogRecord {
    const { clock, random } = this.#options
    const record = newRecord(body, { seq: this.#state.head + 1, epoch, at: clock.now(), random })
    this.#writer.checkReadable(this.#state, record)
    return record
  }

  #accepts(record: LogRecord, outcome: WriteOutcome): boolean {
    if (outcome.kind !== 'own') return false
    this.#accept(record)
    return true
  }

  #accept(record: LogRecord): void {
    this.#state = foldRecord(this.#state, record)
  }

  #checkRun({ run, force }: OpenEpochOptions): void {
    const { run: newest, closed } = this.#state
    if (run < newest)
      throw new WeirError(
        'FENCED',
        `Run ${run} is over: the log is at run ${newest}. This process stops for good.`,
        { context: { run, newestRun: newest } },
      )
    if (run === newest && closed !== undefined && force !== true)
      throw new WeirError(
        'FENCED',
        `Run ${run} was closed as ${closed.status} at log seq ${closed.seq}; only a greater run may go on.`,
        { context: { run, status: closed.status } },
      )
  }

  /** Nothing is taken over from a read that was given up: by then, more may be known. */
  async #readOn(call: CallOptions): Promise<void> {
    const { store } = this.#options
    const from = { state: this.#state, snapshot: this.#snapshot }
    const { state, snapshot } = await abortable(readOn(store, from, call), call.signal)
    this.#state = state
    this.#snapshot = snapshot
    const own = this.#term?.epoch ?? Infinity
    if (state.epoch <= own) return
    const text = `Epoch ${own} is over: ${state.leader ?? 'another'} has opened epoch ${state.epoch}.`
    this.#term?.end(new WeirError('FENCED', text, { context: { ownEpoch: own, epoch: state.epoch } }))
  }
}

const identityText = (job: Omit<LogRecordOf<'OWNER'>, 'kind'>): string =>
  `job ${job.namespace}/${job.name} (uid ${job.uid}, cluster ${job.cluster})`
