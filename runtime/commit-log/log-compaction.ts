/**
 * Keeping the log short.
 *
 * 1 Create `log/snap-<head>`: the state up to head. `exists` is as good: equal logs fold to equal
 *   states.
 * 2 Find the newest snapshot older than the grace (both times by the store's clock).
 * 3 Delete snapshots below it, then records at or below it, oldest first, so that what is left is
 *   always a snapshot and a dense tail. A process that sleeps longer than the grace finds a
 *   snapshot above its seq and believes nothing (CommitLog L3).
 */
import type { CallOptions, CheckpointStore } from '#runtime/storage/checkpoint-store'
import {
  LOG_PREFIX,
  LOG_SNAPSHOT_PREFIX,
  logRecordKey,
  logSnapshotKey,
  parseLogKey,
} from '#runtime/storage/paths'
import { encodeJson } from './log-reader.ts'
import type { LogState } from './log-state.ts'

/** When a snapshot is written, and when what it covers is deleted. */
export interface CompactionOptions {
  /** A reader fetches the records behind the newest snapshot 16 at a time. Default 200. */
  readonly afterRecords: number
  /**
   * Age by the store's clock that a snapshot must have before the records at or below it are
   * deleted; it outlives requests in flight. Default 1 h.
   */
  readonly graceMs: number
}

export const COMPACTION: CompactionOptions = { afterRecords: 200, graceMs: 3_600_000 }

/** Step 1. */
export async function writeSnapshot(
  store: CheckpointStore,
  state: LogState,
  call: CallOptions = {},
): Promise<void> {
  await store.create(logSnapshotKey(state.head), encodeJson(state), call)
}

/** Steps 2 and 3. */
export async function deleteCovered(
  store: CheckpointStore,
  graceMs: number,
  call: CallOptions = {},
): Promise<void> {
  const snapshots = (await store.list(LOG_SNAPSHOT_PREFIX, call)).filter(
    (o) => parseLogKey(o.key)?.kind === 'snapshot',
  )
  const now = Math.max(...snapshots.map((s) => s.modifiedAt))
  const covering = snapshots.findLast((s) => now - s.modifiedAt >= graceMs)
  const seq = covering === undefined ? undefined : parseLogKey(covering.key)?.seq
  if (covering === undefined || seq === undefined) return
  const older = snapshots.filter((s) => s.key < covering.key).map((s) => s.key)
  await store.delete(older, call)
  const records = (await store.list(LOG_PREFIX, call)).map((o) => o.key)
  const last = logRecordKey(seq)
  const covered = records.filter((key) => parseLogKey(key)?.kind === 'record' && key <= last)
  await store.delete(covered, call)
}
