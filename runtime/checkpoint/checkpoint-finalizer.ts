import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '#runtime/base/clock'
import { messageOf, WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { CheckpointOptions, JobIdentity } from '#runtime/contract/job-options'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { keyUrl, manifestDirectory, manifestKey } from '#runtime/storage/paths'
import { assembleManifest, deltaBytes, findForeignFile, type AttemptPlan } from './checkpoint-assembly.ts'
import type { CheckpointEntry } from './checkpoint-history.ts'
import type { StoreTrouble } from './checkpoint-wait.ts'
import type { CheckpointPins } from './checkpoint-pins.ts'
import type { CheckpointRequest } from './checkpoint-requests.ts'
import type { CheckpointInFlight, CompletionBody, FinalizedCheckpoint } from './checkpoint-stages.ts'
import type { CoordinatorTerm } from './coordinator-options.ts'
import { fileKeys, readManifest, writeManifest, type WrittenManifest } from '#runtime/commit-log/manifest-io'
import type { Manifest, RunEnd } from '#runtime/contract/checkpoint-records'
import { RetiredFiles } from '#runtime/commit-log/retired-files'
import { chooseRetired } from '#runtime/commit-log/retention'
import type { AttemptId } from '#runtime/contract/ids'
import type { SavepointPlace } from './savepoint-place.ts'
import { SavepointWriter } from './savepoint-writer.ts'

export interface CheckpointFinalizerOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly store: CheckpointStore
  readonly term: CoordinatorTerm
  readonly job: JobIdentity
  readonly options: CheckpointOptions
  readonly pins: Pick<CheckpointPins, 'asked'>
  openSavepointStore?(url: string): CheckpointStore
  readonly deleteGraceMs?: number
}

/** A checkpoint that all subtasks have acknowledged. */
export interface AckedCheckpoint {
  readonly checkpoint: CheckpointInFlight
  readonly plan: AttemptPlan
  readonly request: CheckpointRequest | undefined
  readonly place: SavepointPlace
  readonly entry: CheckpointEntry
  readonly base: Manifest | undefined
}

/** The I/O of completing a checkpoint: manifest before the record, deletions after it. */
export class CheckpointFinalizer {
  readonly #deps: CheckpointFinalizerOptions
  readonly #retired: RetiredFiles
  readonly #savepoints: SavepointWriter
  readonly #abort = new AbortController()
  #trouble: StoreTrouble | undefined

  constructor(deps: CheckpointFinalizerOptions) {
    const { store, term: log, clock, logger, deleteGraceMs: graceMs } = deps
    this.#deps = deps
    this.#savepoints = new SavepointWriter({ ...deps, signal: this.#abort.signal })
    this.#retired = new RetiredFiles({
      store,
      log,
      clock,
      logger,
      ...(graceMs === undefined ? {} : { graceMs }),
    })
  }

  /** Of the manifest in hand. */
  get trouble(): StoreTrouble | undefined {
    return this.#trouble
  }

  /**
   * Assembles, checks and stores the manifest. `corrupt`: a task refers to a file that nobody would
   * keep for it.
   */
  async finalize(acked: AckedCheckpoint): Promise<FinalizedCheckpoint | { readonly corrupt: string }> {
    const { checkpoint, plan, place, entry, request } = acked
    const { job, clock, store } = this.#deps
    const isSavepoint = checkpoint.kind === 'savepoint'
    const ends = request?.end !== undefined
    const acks = new Map([...entry.acks].map(([key, { ack }]) => [key, ack]))
    const manifest = assembleManifest(
      plan,
      {
        type: checkpoint.kind,
        id: checkpoint.id,
        epoch: checkpoint.epoch,
        base: checkpoint.base,
        createdAt: Math.round(clock.now()),
        job,
      },
      acks,
    )
    const corrupt = findForeignFile(manifest, { directory: place.directory, base: acked.base })
    if (corrupt !== undefined) return { corrupt }
    const written = isSavepoint
      ? await this.#savepoints.write(manifest, place, ends)
      : (this.#unchanged(acked, manifest) ?? (await this.#write(manifest, place.directory)))
    const { id, epoch } = checkpoint
    const delta = deltaBytes(manifest)
    return {
      manifest,
      body: isSavepoint
        ? this.#savepointBody(acked, manifest, written)
        : this.#checkpointBody(acked, manifest, written),
      commits: !isSavepoint || ends,
      result: {
        id,
        epoch,
        type: checkpoint.kind,
        path: isSavepoint ? place.url : keyUrl(store.url, manifestDirectory(written.key)),
        sha256: written.sha256,
        sizeBytes: manifest.sizeBytes,
        deltaBytes: delta,
        maxParallelism: manifest.maxParallelism,
      },
      staged:
        place.copyTo === undefined || ends
          ? []
          : fileKeys(manifest).map((key) => `${place.directory}/${key}`),
    }
  }

  /**
   * The manifest of the base, where it says the same: an idle job writes nothing but the record.
   */
  #unchanged({ base }: AckedCheckpoint, manifest: Manifest): WrittenManifest | undefined {
    if (base === undefined || !isDeepStrictEqual(manifest.vertices, base.vertices)) return undefined
    const record = this.#deps.term.state.retained.find((c) => c.id === base.id)
    return record === undefined ? undefined : { key: record.manifest, sha256: record.sha256 }
  }

  /**
   * The record is in the log: deletes what is not needed any more, a staging copy at once. What
   * cannot be deleted now is left to later checkpoints.
   */
  afterAppend({ body, staged }: FinalizedCheckpoint): void {
    const { store, logger } = this.#deps
    if (body.kind === 'CHECKPOINT') void this.#retired.afterCheckpoint()
    if (staged.length === 0) return
    store
      .delete(staged)
      .catch((err: unknown) => logger.warn({ err }, 'staging copy of a savepoint not deleted yet'))
  }

  /**
   * Manifest of the last completed checkpoint of `attempt`; undefined when there is none or it
   * cannot be read: then the next one is written in full.
   */
  async readBase(attempt: AttemptId): Promise<Manifest | undefined> {
    const { term, store, logger } = this.#deps
    const last = term.state.lastCheckpoint
    if (last === undefined || last.attempt !== attempt || !term.state.retained.some((c) => c.id === last.id))
      return undefined
    try {
      return { ...(await readManifest(store, last.manifest, last.sha256)), id: last.id }
    } catch (err) {
      logger.warn(
        { checkpointId: last.id, err },
        'base checkpoint not readable, the next one is written in full',
      )
      return undefined
    }
  }

  close(): void {
    this.#abort.abort(new WeirError('FENCED', 'the coordinator is closed'))
    this.#retired.close()
  }

  async #write(manifest: Manifest, directory: string): Promise<WrittenManifest> {
    const { store, clock, random } = this.#deps
    const { signal } = this.#abort
    const onRetry = (error: unknown): void => {
      this.#trouble = { since: this.#trouble?.since ?? clock.now(), message: messageOf(error) }
    }
    try {
      return await writeManifest(store, manifest, { directory, clock, random, signal, onRetry })
    } finally {
      this.#trouble = undefined
    }
  }

  #checkpointBody(
    { checkpoint, plan, entry, base, request }: AckedCheckpoint,
    manifest: Manifest,
    written: WrittenManifest,
  ): CompletionBody {
    const { term, options, clock, pins } = this.#deps
    if (checkpoint.base !== 0 && base?.id !== checkpoint.base)
      throw new WeirError(
        'BUG',
        `Checkpoint ${checkpoint.id} is based on ${checkpoint.base}, known is ${base?.id ?? 'none'}.`,
      )
    return {
      kind: 'CHECKPOINT',
      id: checkpoint.id,
      epoch: checkpoint.epoch,
      attempt: plan.attempt,
      base: checkpoint.base,
      manifest: written.key,
      sha256: written.sha256,
      sizeBytes: manifest.sizeBytes,
      deltaBytes: deltaBytes(manifest),
      committedUpTo: checkpoint.id,
      retires: chooseRetired(term.state, { retain: options.retain, now: clock.now(), asked: pins.asked }),
      ...endOf(request),
      stats: {
        durationMs: Math.round(entry.durationMs),
        subtasks: entry.subtasks.length,
        alignmentMs: Math.round(entry.longest('alignmentMs')),
        syncMs: Math.round(entry.longest('syncMs')),
        asyncMs: Math.round(entry.longest('asyncMs')),
        uploadMs: Math.round(entry.longest('uploadMs')),
      },
    }
  }

  #savepointBody(
    { checkpoint, plan, place, request }: AckedCheckpoint,
    { sizeBytes }: Manifest,
    { sha256 }: WrittenManifest,
  ): CompletionBody {
    const { id } = checkpoint
    const own = request?.end === undefined ? {} : { manifest: manifestKey(place.directory) }
    const { attempt } = plan
    return { kind: 'SAVEPOINT', id, path: place.url, sha256, sizeBytes, attempt, ...endOf(request), ...own }
  }
}

const endOf = (request: CheckpointRequest | undefined): { readonly end?: RunEnd } =>
  request?.end === undefined ? {} : { end: request.end }
