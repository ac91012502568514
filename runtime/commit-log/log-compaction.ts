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

export interface CompactOptions extends CallOptions {
  /**
   * Age by the store's clock that a snapshot must have before the records at or below it are
   * deleted. Default 1 h.
   */
  readonly graceMs?: number
}

const GRACE_MS = 3_600_000

/**
 * 1 Create `log/snap-<head>`: the state up to head. `exists` is as good: equal logs fold to equal
 *   states.
 * 2 Find the newest snapshot older than the grace (both times by the store's clock).
 * 3 Delete snapshots below it, then records at or below it, oldest first, so that what is left is
 *   always a snapshot and a dense tail. The grace outlives requests in flight; a process that
 *   sleeps longer finds a snapshot above its seq and believes nothing (CommitLog L3).
 */
export async function compactLog(
  store: CheckpointStore,
  state: LogState,
  options: CompactOptions = {},
): Promise<void> {
  const { graceMs = GRACE_MS, ...call } = options
  if (state.head < 0) return
  await store.create(logSnapshotKey(state.head), encodeJson(state), call)
  const snapshots = (await store.list(LOG_SNAPSHOT_PREFIX, call)).filter(
    (o) => parseLogKey(o.key)?.kind === 'snapshot',
  )
  const now = Math.max(...snapshots.map((s) => s.modifiedAt))
  const covering = snapshots.findLast((s) => now - s.modifiedAt >= graceMs)
  const seq = covering === undefined ? undefined : parseLogKey(covering.key)?.seq
  if (covering === undefined || seq === undefined) return
  await store.delete(
    snapshots.filter((s) => s.key < covering.key).map((s) => s.key),
    call,
  )
  const records = (await store.list(LOG_PREFIX, call)).map((o) => o.key)
  const last = logRecordKey(seq)
  await store.delete(
    records.filter((key) => parseLogKey(key)?.kind === 'record' && key <= last),
    call,
  )
}
