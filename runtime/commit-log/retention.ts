/**
 * What must stay, and what may go. Pure. Deleting what was retained is logged first
 * (CHECKPOINT.retires) and done after a grace; what no record ever named is found by age.
 * retired-files.ts does both.
 */
import type { CheckpointId, Epoch } from '#runtime/contract/ids'
import type { StoredObject } from '#runtime/storage/checkpoint-store'
import { keyUrl, manifestKey, parseCheckpointKey, parseSavepointKey } from '#runtime/storage/paths'
import type { CompletedSavepoint, LogState } from './log-state.ts'

export interface RetentionInput {
  /** Completed checkpoints to keep, counting the one that completes now. */
  readonly retain: number
  /** Wall clock, against `until` of pins. */
  readonly now: number
  /** Ids whose pins are on their way into the log. */
  readonly asked: ReadonlySet<CheckpointId>
}

/**
 * Ids for the `retires` of the CHECKPOINT record that is about to complete. Never a pinned one, or
 * more than leaves `retain`. The base of that checkpoint may be among them: what the two share, the
 * newer one keeps.
 */
export function chooseRetired(state: LogState, { retain, now, asked }: RetentionInput): CheckpointId[] {
  const surplus = state.retained.length + 1 - Math.max(1, retain)
  if (surplus <= 0) return []
  const pinned = new Set(state.pins.filter((p) => p.until > now).flatMap((p) => p.ids))
  return state.retained
    .slice(0, surplus)
    .map((c) => c.id)
    .filter((id) => !pinned.has(id) && !asked.has(id))
}

/** A manifest as a record names it. */
export interface ManifestRef {
  readonly manifest: string
  readonly sha256: string | undefined
}

/**
 * Manifests that must stay readable with all their files: retained checkpoints, and the restore
 * point where it lies in this root. Checkpoints without changes share one.
 */
export function keptManifests(state: LogState): ManifestRef[] {
  const kept = new Map<string, string | undefined>(state.retained.map((c) => [c.manifest, c.sha256]))
  const point = state.restorePoint
  if (point.kind === 'checkpoint') kept.set(point.manifest, point.sha256)
  if (point.kind === 'savepoint' && point.manifest !== undefined) kept.set(point.manifest, point.sha256)
  return [...kept].map(([manifest, sha256]) => ({ manifest, sha256 }))
}

export interface OrphanInput {
  readonly state: LogState
  readonly storeUrl: string
  /** Keys that something in the log reaches. */
  readonly reached: ReadonlySet<string>
  /** By the store's clock. */
  readonly now: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/**
 * Keys of objects that nothing will ever read:
 * 1 what failed checkpoints left below `chk/`, an hour old. A checkpoint has failed when a newer
 *   one has completed, or its epoch is over: ids grow, one is in flight at a time, and a deposed
 *   leader completes nothing.
 * 2 files of savepoints that failed in the same sense in their default place, without a manifest,
 *   a day old.
 * 3 the job's own copy of a stopping savepoint that its user keeps elsewhere, a day old, once it is
 *   not the restore point any more.
 */
export function findOrphans(objects: readonly StoredObject[], input: OrphanInput): string[] {
  const present = new Set(objects.map((o) => o.key))
  return objects.filter((o) => isOrphan(o, present, input)).map((o) => o.key)
}

function isOrphan(object: StoredObject, present: ReadonlySet<string>, input: OrphanInput): boolean {
  const { key, modifiedAt } = object
  const age = input.now - modifiedAt
  if (input.reached.has(key)) return false
  const checkpoint = parseCheckpointKey(key)
  if (checkpoint !== undefined) return age >= HOUR_MS && isOver(input.state, checkpoint)
  const savepoint = parseSavepointKey(key)
  if (savepoint === undefined || age < DAY_MS || !isOver(input.state, savepoint)) return false
  const { directory, isOwnFile } = savepoint
  const logged = input.state.savepoints.find((s) => liesIn(s, directory, input.storeUrl))
  if (logged !== undefined) return isSpareCopy(logged, directory, input)
  return isOwnFile && !present.has(manifestKey(directory))
}

const isOver = ({ epoch, lastCheckpoint }: LogState, of: { id: CheckpointId; epoch: Epoch }): boolean =>
  of.epoch < epoch || (of.epoch === epoch && of.id < (lastCheckpoint?.id ?? 0))

const liesIn = ({ path, manifest }: CompletedSavepoint, directory: string, storeUrl: string): boolean =>
  path === keyUrl(storeUrl, directory) || manifest === manifestKey(directory)

function isSpareCopy({ path }: CompletedSavepoint, directory: string, input: OrphanInput): boolean {
  const point = input.state.restorePoint
  const isRestorePoint = point.kind === 'savepoint' && point.manifest === manifestKey(directory)
  return path !== keyUrl(input.storeUrl, directory) && !isRestorePoint
}
