/**
 * Pins: retained checkpoints of this job that another job starts from as a fork. Until the fork has
 * a checkpoint of its own it depends on these files, which are not its own to keep.
 *
 * P1 From the moment that a pin is asked for, nothing that it names is retired: the record of a
 *    checkpoint that completes meanwhile is made with that in mind. Where it was made before, the
 *    pin comes too late and is refused.
 * P2 A pin runs out by itself, so that a fork which is forgotten keeps nothing for good.
 */
import { isDeepStrictEqual } from 'node:util'
import { WeirError } from '#runtime/base/errors'
import type { LogRecordOf } from '#runtime/contract/checkpoint-records'
import type { CheckpointId } from '#runtime/contract/ids'
import type { PinRequest, PinView } from '#runtime/contract/rest'
import { keyUrl, manifestDirectory } from '#runtime/storage/paths'
import { locateManifest, parseStorageUrl } from '#runtime/storage/storage-url'
import type { CoordinatorTerm } from './coordinator-options.ts'

/** From the request, by this leader's wall clock. */
const PIN_MS = 24 * 3_600_000

export interface CheckpointPinsOptions {
  readonly term: Pick<CoordinatorTerm, 'state' | 'append'>
  readonly clock: { now(): number }
  readonly store: { readonly url: string }
}

export class CheckpointPins {
  readonly #options: CheckpointPinsOptions
  readonly #asking = new Set<{ readonly id: CheckpointId }>()

  constructor(options: CheckpointPinsOptions) {
    this.#options = options
  }

  /** Ids of checkpoints whose pins are on their way into the log. */
  get asked(): ReadonlySet<CheckpointId> {
    return new Set([...this.#asking].map(({ id }) => id))
  }

  /**
   * Resolves when the pin is in the log. A later one by the same holder replaces it.
   * @throws {WeirError} CFG_INVALID when `path` is no checkpoint of this job; CKP_RESTORE, naming
   * those that are retained, when it is not one of them; FENCED when the term is over; STO_DENIED
   */
  async pin({ path, by }: PinRequest): Promise<PinView> {
    const { term, clock } = this.#options
    const id = this.#retainedAt(path)
    const until = Math.round(clock.now()) + PIN_MS
    const body: LogRecordOf<'PIN'> = { kind: 'PIN', ids: [id], by, until }
    const asking = { id }
    this.#asking.add(asking)
    try {
      const outcome = await term.append(body)
      if (outcome.kind === 'appended') return { id, until }
      if (outcome.kind === 'refused') this.#retainedAt(path)
      throw outcome.error
    } finally {
      this.#asking.delete(asking)
    }
  }

  /** Id of the newest retained checkpoint there; those without changes share a manifest. */
  #retainedAt(path: string): number {
    const { term, store } = this.#options
    const { root, key } = locateManifest(path)
    if (!isDeepStrictEqual(parseStorageUrl(root), parseStorageUrl(store.url)))
      throw new WeirError(
        'CFG_INVALID',
        `Cannot pin ${path}: it is not a checkpoint of this job, whose storage is ${store.url}.`,
      )
    const { retained } = term.state
    const found = retained.findLast((c) => c.manifest === key)
    if (found !== undefined) return found.id
    const urls = [...new Set(retained.map((c) => keyUrl(store.url, manifestDirectory(c.manifest))))]
    throw new WeirError(
      'CKP_RESTORE',
      `Cannot pin ${path}: its job does not retain that checkpoint. It retains ` +
        `${urls.join(', ') || 'none'}. Restore from one of these, or from a savepoint.`,
      { context: { path, retained: retained.map((c) => c.id) } },
    )
  }
}
