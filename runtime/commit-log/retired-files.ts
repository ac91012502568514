import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { CallOptions, CheckpointStore } from '#runtime/storage/checkpoint-store'
import { CHECKPOINT_PREFIX } from '#runtime/storage/paths'
import type { LogState, Retirement } from './log-state.ts'
import { fileKeys, readManifest } from './manifest-io.ts'
import type { Manifest } from '#runtime/contract/checkpoint-records'
import { findOrphans, keptManifests, unreachableFiles } from './retention.ts'

/**
 * Deletes what one logged retirement freed: files first, manifests last, so that a missing manifest
 * means it is done. Idempotent. Resolves with the count of objects.
 */
export async function deleteRetired(
  store: CheckpointStore,
  retirement: Retirement,
  kept: readonly Manifest[],
  call: CallOptions = {},
): Promise<number> {
  const manifests = await Promise.all(
    retirement.checkpoints.map((c) => readIfPresent(store, c.manifest, c.sha256, call)),
  )
  const reachable = new Set(kept.flatMap(fileKeys))
  const found = manifests.filter((m) => m !== undefined)
  const files = [...unreachableFiles(found, kept), ...retirement.files.filter((key) => !reachable.has(key))]
  await store.delete(files, call)
  await store.delete(
    retirement.checkpoints.map((c) => c.manifest),
    call,
  )
  return files.length + found.length
}

export interface RetiredFilesOptions {
  readonly store: CheckpointStore
  readonly log: { readonly state: LogState; forgetRetirements(seqs: ReadonlySet<number>): void }
  readonly clock: Clock
  readonly logger: Logger
  /** From the record until deletion, by this process's own clock. Default 10 s. */
  readonly graceMs?: number
}

/**
 * Deletes retired files when their grace has passed; only the holder of the epoch may run it.
 * `sweep` is called after each completed checkpoint.
 */
export class RetiredFiles {
  readonly #options: RetiredFilesOptions
  /**
   * Monotonic time at which this process first saw a retirement (by seq): clocks of other machines
   * do not matter.
   */
  readonly #seen = new Map<number, number>()
  #running: Promise<number> | undefined
  constructor(options: RetiredFilesOptions) {
    this.#options = options
  }

  /** Deletes what is due. Never two at a time. Resolves with the count of objects deleted. */
  sweep(call: CallOptions = {}): Promise<number> {
    this.#running ??= this.#sweep(call).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** What failed checkpoints of older epochs left behind; with `dryRun` only found, not deleted. */
  async sweepOrphans(
    options: CallOptions & { readonly dryRun: boolean; readonly minAgeMs: number },
  ): Promise<string[]> {
    const { store, log, clock, logger } = this.#options
    const { dryRun, minAgeMs, ...call } = options
    const objects = await store.list(CHECKPOINT_PREFIX, call)
    const { state } = log
    const kept = await this.#kept(state, call)
    // A retirement that waits for its grace still needs its manifest to find its files.
    const keptKeys = [...keptManifests(state), ...state.retirements.flatMap((r) => r.checkpoints)].map(
      (k) => k.manifest,
    )
    const orphans = findOrphans(objects, {
      kept,
      keptKeys,
      epoch: state.epoch,
      minAgeMs,
      now: clock.now(),
    }).map((o) => o.key)
    if (!dryRun) await store.delete(orphans, call)
    if (orphans.length > 0) logger.info({ orphans: orphans.length, dryRun }, 'orphaned files found')
    return orphans
  }

  async #sweep(call: CallOptions): Promise<number> {
    const { clock, log, store, logger, graceMs = 10_000 } = this.#options
    const now = clock.monotonic()
    const { state } = log
    for (const { seq } of state.retirements) if (!this.#seen.has(seq)) this.#seen.set(seq, now)
    const due = state.retirements.filter((r) => now - (this.#seen.get(r.seq) ?? now) >= graceMs)
    if (due.length === 0) return 0
    const kept = await this.#kept(state, call)
    let deleted = 0
    for (const retirement of due) {
      try {
        deleted += await deleteRetired(store, retirement, kept, call)
      } catch (error) {
        if (!(error instanceof WeirError) || error.code !== 'STO_CORRUPT') throw error
        logger.warn(
          { seq: retirement.seq, err: error },
          'retired checkpoint is damaged, its files are left to the sweeper',
        )
      }
      log.forgetRetirements(new Set([retirement.seq]))
      this.#seen.delete(retirement.seq)
    }
    return deleted
  }

  #kept(state: LogState, call: CallOptions): Promise<Manifest[]> {
    return Promise.all(
      keptManifests(state).map((k) => readManifest(this.#options.store, k.manifest, k.sha256, call)),
    )
  }
}

async function readIfPresent(
  store: CheckpointStore,
  key: string,
  sha256: string,
  call: CallOptions,
): Promise<Manifest | undefined> {
  try {
    return await readManifest(store, key, sha256, call)
  } catch (error) {
    if (error instanceof WeirError && error.code === 'STO_MISSING') return undefined
    throw error
  }
}
