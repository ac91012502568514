import { createHash } from 'node:crypto'
import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { Barrier, SubtaskAck, SubtaskRef } from '#runtime/contract/rpc'
import { subtaskKey } from '#runtime/contract/rpc'
import type { StateFile } from '#runtime/contract/checkpoint-records'
import type { CheckpointStore } from '#runtime/storage/checkpoint-store'
import { createExact } from '#runtime/storage/create-exact'
import { stateFileKey } from '#runtime/storage/paths'
import type { FromSlot } from '#runtime/task/slot-messages'

/**
 * Files up to this size travel in the acknowledgement and lie in the manifest: one request fewer
 * for each small subtask.
 */
const INLINE_BYTES = 20 * 1024
const UPLOAD_LIMIT_MS = 60_000

export interface StateUploaderOptions {
  readonly store: CheckpointStore
  readonly attempt: string
  readonly clock: Clock
  readonly random: () => number
  readonly signal: AbortSignal
}

/**
 * Uploads the snapshots of one attempt's subtasks and remembers their chains of files.
 * I1 A delta extends the chain of the checkpoint that its barrier named as base, never another
 *    one's.
 * I2 A key is written once; a file whose create found the key taken by other bytes fails the
 *    checkpoint.
 */
export class StateUploader {
  readonly #options: StateUploaderOptions
  /** Subtask -> checkpoint id -> chain. */
  readonly #chains = new Map<string, Map<number, readonly StateFile[]>>()

  constructor(options: StateUploaderOptions) {
    this.#options = options
  }

  /** Stores the snapshot and gives the acknowledgement for it. @throws {WeirError} */
  async upload(
    snapshot: Extract<FromSlot, { type: 'snapshot' }>,
    keyGroups: readonly [number, number],
  ): Promise<SubtaskAck> {
    const { clock, attempt } = this.#options
    const { barrier, subtask, bytes, mode } = snapshot
    const start = clock.monotonic()
    const file = bytes === undefined ? undefined : await this.#store(barrier, subtask, mode, bytes)
    const base = mode === 'delta' ? this.#chainAt(subtask, barrier.base) : []
    const chain = file === undefined ? base : [...base, file]
    if (barrier.kind === 'checkpoint') this.#remember(subtask, barrier, chain)
    return {
      ...subtask,
      attempt,
      epoch: barrier.epoch,
      checkpointId: barrier.id,
      uids: snapshot.uids,
      state: { subtask: subtask.subtask, keyGroups: [keyGroups[0], keyGroups[1]], chain: [...chain] },
      sizeBytes: chain.reduce((sum, f) => sum + f.sizeBytes, 0),
      deltaBytes: file?.sizeBytes ?? 0,
      alignmentMs: snapshot.alignmentMs,
      syncMs: snapshot.syncMs,
      asyncMs: snapshot.asyncMs,
      uploadMs: clock.monotonic() - start,
    }
  }

  #chainAt(subtask: SubtaskRef, id: number): readonly StateFile[] {
    const chain = this.#chains.get(subtaskKey(subtask))?.get(id)
    if (chain === undefined)
      throw new WeirError(
        'BUG',
        `Subtask ${subtaskKey(subtask)} wrote changes against checkpoint ${id}, whose files are not known`,
      )
    return chain
  }

  #remember(subtask: SubtaskRef, barrier: Barrier, chain: readonly StateFile[]): void {
    const key = subtaskKey(subtask)
    const chains = this.#chains.get(key) ?? new Map<number, readonly StateFile[]>()
    this.#chains.set(key, chains)
    for (const id of chains.keys()) if (id < barrier.base) chains.delete(id)
    chains.set(barrier.id, chain)
  }

  async #store(
    barrier: Barrier,
    subtask: SubtaskRef,
    mode: 'full' | 'delta',
    bytes: Uint8Array,
  ): Promise<StateFile> {
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const file = { sizeBytes: bytes.byteLength, sha256, writtenBy: barrier.id, mode }
    if (bytes.byteLength <= INLINE_BYTES) return { ...file, inline: Buffer.from(bytes).toString('base64') }
    const { attempt, store } = this.#options
    if (barrier.kind === 'checkpoint') {
      const key = stateFileKey(barrier.directory, { ...subtask, attempt })
      await this.#create(store, key, bytes)
      return { ...file, key }
    }
    // A savepoint is relocatable: its manifest names files relative to its own directory.
    const key = stateFileKey('', { ...subtask, attempt, savepointId: barrier.id })
    await this.#create(store, `${barrier.directory}/${key}`, bytes)
    return { ...file, key }
  }

  #create(store: CheckpointStore, key: string, bytes: Uint8Array): Promise<void> {
    const { clock, random, signal } = this.#options
    return createExact(store, key, bytes, { clock, random, signal, limitMs: UPLOAD_LIMIT_MS })
  }
}
