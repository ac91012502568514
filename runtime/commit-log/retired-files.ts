/**
 * Deletes what no checkpoint needs any more; only the holder of the epoch may run it.
 *
 * R1 What a retained checkpoint, the restore point, or a retirement within its grace reaches is
 *    never deleted. When one of them cannot be read, nothing is.
 * R2 Of a retirement files go first, manifests last: a missing manifest means that it is done.
 * R3 One sweep runs at a time.
 */
import { mapInBatches } from '#runtime/base/batches'
import type { Clock, Timer } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { CallOptions, CheckpointStore } from '#runtime/storage/checkpoint-store'
import { CHECKPOINT_PREFIX, LOG_PREFIX, logRecordKey, SAVEPOINT_PREFIX } from '#runtime/storage/paths'
import type { LogState, Retirement } from './log-state.ts'
import { fileKeys, readManifest } from './manifest-io.ts'
import { findOrphans, keptManifests, type ManifestRef } from './retention.ts'

export interface RetiredFilesOptions {
  readonly store: CheckpointStore
  readonly log: { readonly state: LogState; forgetRetirements(seqs: ReadonlySet<number>): void }
  readonly clock: Clock
  readonly logger: Logger
  /**
   * From the record until deletion: whoever began to restore from a retired checkpoint may finish.
   * Clocks of other machines do not matter: what was logged before this term is as old as the store
   * says. Default 60 s.
   */
  readonly graceMs?: number
}

const GRACE_MS = 60_000
const ORPHANS_EVERY_MS = 3_600_000
const PARALLEL_READS = 16

export class RetiredFiles {
  readonly #options: RetiredFilesOptions
  readonly #graceMs: number
  /** Monotonic time since which a retirement (by seq) is in the log. */
  readonly #since = new Map<number, number>()
  #hasAged = false
  /** Keys of the files of manifests that are needed; each manifest is read once. */
  #files = new Map<string, readonly string[]>()
  readonly #abort = new AbortController()
  #running: Promise<void> | undefined
  #later: Timer | undefined
  #orphansSought = -Infinity

  constructor(options: RetiredFilesOptions) {
    this.#options = options
    this.#graceMs = options.graceMs ?? GRACE_MS
  }

  /**
   * A checkpoint has completed: deletes what is due now, what it retired after the grace, and once
   * an hour what failed checkpoints left behind. Never rejects: what cannot be done now is tried
   * again after the next checkpoint.
   */
  afterCheckpoint(): Promise<void> {
    const { clock, log } = this.#options
    if (this.#abort.signal.aborted) return Promise.resolve()
    for (const { seq } of log.state.retirements)
      if (!this.#since.has(seq)) this.#since.set(seq, clock.monotonic())
    this.#later?.cancel()
    this.#later = clock.after(this.#graceMs, () => void this.#sweep())
    return this.#sweep()
  }

  /** Nothing is deleted from now on. */
  close(): void {
    this.#later?.cancel()
    this.#abort.abort(new WeirError('FENCED', 'nothing is deleted any more'))
  }

  #sweep(): Promise<void> {
    this.#running ??= this.#deleteAll().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #deleteAll(): Promise<void> {
    const { signal } = this.#abort
    try {
      await this.#age({ signal })
      await this.#deleteRetired({ signal })
      await this.#deleteOrphans({ signal })
    } catch (err) {
      if (signal.aborted) return
      this.#options.logger.warn({ err }, 'old files not deleted, next try after the next checkpoint')
    }
  }

  /**
   * Once: what was retired under earlier leaders has waited already, also if none of them has led
   * for as long as the grace. A record that is not listed was covered by a snapshot: it waits anew.
   */
  async #age(call: CallOptions): Promise<void> {
    if (this.#hasAged) return
    const { log, store } = this.#options
    const { head } = log.state
    const oldest = Math.min(...this.#since.keys())
    if (oldest < head) {
      const range = { startAfter: logRecordKey(oldest - 1), limit: head - oldest + 1 }
      const records = await store.list(LOG_PREFIX, { ...call, ...range })
      const modifiedAt = new Map(records.map((record) => [record.key, record.modifiedAt]))
      const now = modifiedAt.get(logRecordKey(head))
      for (const [seq, seen] of this.#since) {
        const at = modifiedAt.get(logRecordKey(seq))
        if (now !== undefined && at !== undefined) this.#since.set(seq, seen - Math.max(0, now - at))
      }
    }
    this.#hasAged = true
  }

  async #deleteRetired(call: CallOptions): Promise<void> {
    const { log } = this.#options
    const { state } = log
    const due = this.#due(state.retirements)
    if (due.length === 0) return
    const waiting = state.retirements.filter((r) => !due.includes(r))
    const reached = await this.#reached(state, waiting, call)
    for (const retirement of due) {
      const keys = await this.#keysOf(retirement, reached, call)
      await this.#delete(keys.files, call)
      await this.#delete(keys.manifests, call)
      log.forgetRetirements(new Set([retirement.seq]))
      this.#since.delete(retirement.seq)
    }
  }

  #due(retirements: readonly Retirement[]): Retirement[] {
    const now = this.#options.clock.monotonic()
    return retirements.filter((r) => now - (this.#since.get(r.seq) ?? now) >= this.#graceMs)
  }

  /** What one retirement freed. Nothing in a manifest that something else still reaches is free. */
  async #keysOf(retirement: Retirement, reached: ReadonlySet<string>, call: CallOptions) {
    const free = retirement.checkpoints.filter((c) => !reached.has(c.manifest))
    const found = await Promise.all(free.map((c) => this.#retiredFiles(c, call)))
    return {
      files: found.flat().filter((key) => !reached.has(key)),
      manifests: free.map((c) => c.manifest),
    }
  }

  async #delete(keys: readonly string[], call: CallOptions): Promise<void> {
    if (keys.length > 0) await this.#options.store.delete(keys, call)
  }

  async #deleteOrphans(call: CallOptions): Promise<void> {
    const { clock, log, store, logger } = this.#options
    const { state } = log
    if (clock.monotonic() - this.#orphansSought < ORPHANS_EVERY_MS) return
    this.#orphansSought = clock.monotonic()
    const now = await this.#storeTime(state, call)
    const objects = [
      ...(await store.list(CHECKPOINT_PREFIX, call)),
      ...(await store.list(SAVEPOINT_PREFIX, call)),
    ]
    const reached = await this.#reached(state, state.retirements, call)
    const orphans = findOrphans(objects, { state, storeUrl: store.url, reached, now })
    if (orphans.length === 0) return
    logger.info({ objects: orphans.length }, 'files of failed checkpoints deleted')
    await this.#delete(orphans, call)
  }

  /** The store's clock as of the newest record, which is that of a checkpoint just completed. */
  async #storeTime({ head }: LogState, call: CallOptions): Promise<number> {
    const after = { startAfter: logRecordKey(Math.max(0, head - 1)), limit: 1 }
    const [newest] = await this.#options.store.list(LOG_PREFIX, { ...call, ...after })
    return newest?.modifiedAt ?? -Infinity
  }

  /**
   * Every key that is still needed. @throws {WeirError} when a manifest that says which cannot be
   * read
   */
  async #reached(
    state: LogState,
    waiting: readonly Retirement[],
    call: CallOptions,
  ): Promise<ReadonlySet<string>> {
    const kept = keptManifests(state)
    const retired = waiting.flatMap((r) => r.checkpoints)
    const files = [
      ...(await mapInBatches(kept, PARALLEL_READS, (c) => this.#filesOf(c, call))),
      ...(await mapInBatches(retired, PARALLEL_READS, (c) => this.#retiredFiles(c, call))),
    ]
    const manifests = [...kept, ...retired].map((c) => c.manifest)
    const known = new Set(manifests)
    this.#files = new Map([...this.#files].filter(([key]) => known.has(key)))
    return new Set([...manifests, ...files.flat()])
  }

  async #filesOf({ manifest, sha256 }: ManifestRef, call: CallOptions): Promise<readonly string[]> {
    const known = this.#files.get(manifest)
    if (known !== undefined) return known
    const files = fileKeys(await readManifest(this.#options.store, manifest, sha256, call))
    this.#files.set(manifest, files)
    return files
  }

  /** Those of a retired checkpoint; of one that is gone or damaged nothing is known. */
  async #retiredFiles(checkpoint: ManifestRef, call: CallOptions): Promise<readonly string[]> {
    try {
      return await this.#filesOf(checkpoint, call)
    } catch (error) {
      if (!(error instanceof WeirError)) throw error
      if (error.code === 'STO_MISSING') return []
      if (error.code !== 'STO_CORRUPT') throw error
      this.#options.logger.warn({ err: error }, 'retired checkpoint is damaged, its files are found by age')
      return []
    }
  }
}
