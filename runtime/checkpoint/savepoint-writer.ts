/**
 * Writes a savepoint whose files the tasks have uploaded: its manifest, and all of it to its place
 * where that is outside the job's storage.
 *
 * S1 A savepoint that is in the log is never overwritten, nor anything that is not a savepoint of
 *    this job. What a failed try of this job left is replaced: without a record it is no savepoint.
 */
import type { Clock } from '#runtime/base/clock'
import { invariant, WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { mayBeLogged, type LogState } from '#runtime/commit-log/log-state'
import { fileKeys, readManifest, writeManifest, type WrittenManifest } from '#runtime/commit-log/manifest-io'
import type { Manifest } from '#runtime/contract/checkpoint-records'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { keyUrl, manifestKey } from '#runtime/storage/paths'
import { copySavepointFiles, type SavepointPlace } from './savepoint-place.ts'

export interface SavepointWriterOptions {
  readonly store: CheckpointStore
  readonly term: { readonly state: LogState }
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  /** Nobody waits for the savepoint any more. */
  readonly signal: AbortSignal
  /** For places outside the job's storage. */
  openSavepointStore?(url: string): CheckpointStore
}

export class SavepointWriter {
  readonly #options: SavepointWriterOptions

  constructor(options: SavepointWriterOptions) {
    this.#options = options
  }

  /**
   * Safe to repeat. `keepsCopy`: of a savepoint elsewhere a manifest stays beside the files in the
   * job's own storage. Gives the manifest as its user finds it.
   * @throws {WeirError} STO_EXISTS when the place is taken
   */
  async write(manifest: Manifest, place: SavepointPlace, keepsCopy: boolean): Promise<WrittenManifest> {
    const { store, openSavepointStore } = this.#options
    const { directory, copyTo } = place
    if (copyTo === undefined) return this.#writeTo(store, manifest, directory)
    if (keepsCopy) await this.#writeTo(store, manifest, directory)
    invariant(
      openSavepointStore !== undefined,
      `savepoint ${manifest.id} goes to ${copyTo} without a store for it`,
    )
    const target = openSavepointStore(copyTo)
    try {
      await this.#makeWay(target, manifest, '')
      await copySavepointFiles({ store, directory }, manifest, target, this.#options)
      return await this.#writeTo(target, manifest, '')
    } finally {
      await target.close()
    }
  }

  async #writeTo(store: CheckpointStore, manifest: Manifest, directory: string): Promise<WrittenManifest> {
    const { clock, random, signal } = this.#options
    await this.#makeWay(store, manifest, directory)
    return writeManifest(store, manifest, { directory, clock, random, signal })
  }

  /** Removes what a failed try left in the place. @throws {WeirError} STO_EXISTS for all else */
  async #makeWay(store: CheckpointStore, manifest: Manifest, directory: string): Promise<void> {
    const { term, logger } = this.#options
    const key = manifestKey(directory)
    const left = await readIfPresent(store, key)
    if (left === undefined) return
    const { id, type, job } = left
    if (type !== 'savepoint' || job.uid !== manifest.job.uid || mayBeLogged(term.state, id))
      throw new WeirError(
        'STO_EXISTS',
        `${keyUrl(store.url, key)} is that of ${type} ${id} of job ${job.namespace}/${job.name}. ` +
          'It is not overwritten: give another path.',
      )
    logger.info({ checkpointId: manifest.id, leftBy: id }, 'failed savepoint replaced')
    await store.delete([key])
    // Names carry the id of their savepoint, so that none of them is one of this one's.
    const own = fileKeys(left).filter((name) => !name.includes('/'))
    await store.delete(own.map((name) => (directory === '' ? name : `${directory}/${name}`)))
  }
}

async function readIfPresent(store: CheckpointStore, key: string): Promise<Manifest | undefined> {
  try {
    return await readManifest(store, key)
  } catch (error) {
    if (error instanceof WeirError && error.code === 'STO_MISSING') return undefined
    throw error
  }
}
