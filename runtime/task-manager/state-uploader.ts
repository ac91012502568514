/**
 * Uploads the snapshots of one attempt's subtasks and remembers what lies in the store of each.
 *
 * I1 Files are reused only from the checkpoint that the barrier named as base: a delta extends its
 *    chain, and list states that are byte for byte its own are not written again.
 * I2 A key is written once; a file whose create found the key taken by other bytes fails the
 *    checkpoint.
 */
import type { Clock } from '#runtime/base/clock'
import { messageOf, WeirError } from '#runtime/base/errors'
import { sha256Of } from '#runtime/base/sha256'
import type { StateFile } from '#runtime/contract/checkpoint-records'
import type { AttemptId } from '#runtime/contract/ids'
import type { Barrier, Standstill, SubtaskAck, SubtaskRef } from '#runtime/contract/rpc'
import { subtaskKey } from '#runtime/contract/rpc'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { createExact } from '#runtime/storage/create-exact'
import { stateFileKey, type StateFileName } from '#runtime/storage/paths'
import type { FromSlot } from '#runtime/task/slot-messages'

/**
 * Files up to this size travel in the acknowledgement and lie in the manifest: one request fewer
 * for each small subtask.
 */
export const INLINE_BYTES = 20 * 1024
const UPLOAD_LIMIT_MS = 60_000

export interface StateUploaderOptions {
  readonly store: CheckpointStore
  readonly attempt: AttemptId
  readonly clock: Clock
  readonly random: () => number
  readonly signal: AbortSignal
  /** Default INLINE_BYTES. */
  readonly inlineBytes?: number | undefined
}

type Snapshot = Extract<FromSlot, { type: 'snapshot' }>

/** The files that the state of a subtask lies in, as of a checkpoint. */
interface Stored {
  readonly chain: readonly StateFile[]
  readonly lists: StateFile | undefined
}

/** What is to be made of some bytes. */
type NewFile = Pick<StateFile, 'mode'> & Pick<StateFileName, 'part'>

export class StateUploader {
  readonly #options: StateUploaderOptions
  /** Subtask -> checkpoint id -> files. */
  readonly #stored = new Map<string, Map<number, Stored>>()
  /** By key, of files whose last try failed; since: monotonic. */
  readonly #troubles = new Map<string, { readonly since: number; readonly message: string }>()

  constructor(options: StateUploaderOptions) {
    this.#options = options
  }

  /** What the store refuses at the moment. */
  get standstills(): readonly Standstill[] {
    const now = this.#options.clock.monotonic()
    const found = [...this.#troubles.values()].map(({ since, message }) => ({
      kind: 'store' as const,
      forMs: now - since,
      message: `the store: ${message}`,
    }))
    return found.slice(0, 1)
  }

  /** Stores the snapshot and gives the acknowledgement for it. @throws {WeirError} */
  async upload(snapshot: Snapshot, keyGroups: readonly [number, number]): Promise<SubtaskAck> {
    const { clock, attempt } = this.#options
    const { barrier, subtask, uids, states, alignmentMs, syncMs, asyncMs } = snapshot
    const start = clock.monotonic()
    const base = this.#stored.get(subtaskKey(subtask))?.get(barrier.base)
    const [chain, lists] = await Promise.all([this.#chain(snapshot, base), this.#lists(snapshot, base)])
    if (barrier.kind === 'checkpoint') this.#remember(subtask, barrier, { chain, lists })
    const files = lists === undefined ? chain : [...chain, lists]
    const bytesOf = (some: readonly StateFile[]) => some.reduce((sum, f) => sum + f.sizeBytes, 0)
    return {
      ...subtask,
      attempt,
      epoch: barrier.epoch,
      checkpointId: barrier.id,
      uids,
      states,
      state: {
        subtask: subtask.subtask,
        keyGroups: [keyGroups[0], keyGroups[1]],
        chain: [...chain],
        ...(lists === undefined ? {} : { lists }),
      },
      sizeBytes: bytesOf(files),
      deltaBytes: bytesOf(files.filter((f) => f.writtenBy === barrier.id)),
      alignmentMs,
      syncMs,
      asyncMs,
      uploadMs: clock.monotonic() - start,
    }
  }

  async #chain(snapshot: Snapshot, base: Stored | undefined): Promise<readonly StateFile[]> {
    const { barrier, subtask, keyed, mode } = snapshot
    if (mode === 'delta' && base === undefined)
      throw new WeirError(
        'BUG',
        `Subtask ${subtaskKey(subtask)} wrote changes against checkpoint ${barrier.base}, ` +
          'whose files are not known',
      )
    const before = mode === 'delta' ? (base?.chain ?? []) : []
    if (keyed === undefined) return before
    return [...before, await this.#store(snapshot, keyed, { part: 'state', mode })]
  }

  async #lists(snapshot: Snapshot, base: Stored | undefined): Promise<StateFile | undefined> {
    const { lists } = snapshot
    if (lists === undefined) return undefined
    if (base?.lists?.sha256 === sha256Of(lists)) return base.lists
    return this.#store(snapshot, lists, { part: 'lists', mode: 'full' })
  }

  #remember(subtask: SubtaskRef, barrier: Barrier, stored: Stored): void {
    const key = subtaskKey(subtask)
    const known = this.#stored.get(key) ?? new Map<number, Stored>()
    this.#stored.set(key, known)
    for (const id of known.keys()) if (id < barrier.base) known.delete(id)
    known.set(barrier.id, stored)
  }

  async #store({ barrier, subtask }: Snapshot, bytes: Uint8Array, made: NewFile): Promise<StateFile> {
    const { part, mode } = made
    const file = { sizeBytes: bytes.byteLength, sha256: sha256Of(bytes), writtenBy: barrier.id, mode }
    const { inlineBytes = INLINE_BYTES } = this.#options
    if (bytes.byteLength <= inlineBytes) return { ...file, inline: Buffer.from(bytes).toString('base64') }
    const { attempt } = this.#options
    if (barrier.kind === 'checkpoint') {
      const key = stateFileKey(barrier.directory, { ...subtask, attempt, part })
      await this.#create(key, bytes)
      return { ...file, key }
    }
    // A savepoint is relocatable: its manifest names files relative to its own directory.
    const key = stateFileKey('', { ...subtask, attempt, part, savepointId: barrier.id })
    await this.#create(`${barrier.directory}/${key}`, bytes)
    return { ...file, key }
  }

  async #create(key: string, bytes: Uint8Array): Promise<void> {
    const { store, clock, random, signal } = this.#options
    const since = clock.monotonic()
    const onRetry = (error: unknown): void => {
      this.#troubles.set(key, { since, message: messageOf(error) })
    }
    try {
      await createExact(store, key, bytes, { clock, random, signal, limitMs: UPLOAD_LIMIT_MS, onRetry })
    } finally {
      this.#troubles.delete(key)
    }
  }
}
