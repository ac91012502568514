import type { StoredObject } from '#runtime/storage/checkpoint-store'
import { CHECKPOINT_PREFIX, parseCheckpointKey } from '#runtime/storage/paths'
import type { LogState } from './log-state.ts'
import { fileKeys } from './manifest-io.ts'
import type { Manifest } from '#runtime/contract/checkpoint-records'

/**
 * What must stay, and what may go. Pure. Deleting is logged first (CHECKPOINT.retires, RETIRE) and
 * done after a grace by retired-files.ts.
 */
export interface RetentionInput {
  /** Completed checkpoints to keep, counting the one that completes now. */
  readonly retain: number
  /** Bases of pending checkpoints and of the one that completes now: their files are in use. */
  readonly bases: readonly number[]
  /** Wall clock, against `until` of pins. */
  readonly now: number
}

/**
 * Ids for the `retires` of the CHECKPOINT record that is about to complete. Never a base in use, a
 * pinned one, or more than leaves `retain`.
 */
export function chooseRetired(state: LogState, input: RetentionInput): number[] {
  const surplus = state.retained.length + 1 - Math.max(1, input.retain)
  if (surplus <= 0) return []
  const kept = new Set([...input.bases, ...pinnedIds(state, input.now)])
  return state.retained
    .slice(0, surplus)
    .map((c) => c.id)
    .filter((id) => !kept.has(id))
}

export function pinnedIds(state: LogState, now: number): number[] {
  return state.pins.filter((p) => p.until > now).flatMap((p) => p.ids)
}

/**
 * Manifests that must stay readable with all their files: retained checkpoints, and the restore
 * point where it lies in this root.
 */
export function keptManifests(
  state: LogState,
): { readonly manifest: string; readonly sha256: string | undefined }[] {
  const kept = new Map<string, string | undefined>(state.retained.map((c) => [c.manifest, c.sha256]))
  const point = state.restorePoint
  if (point.kind === 'checkpoint') kept.set(point.manifest, point.sha256)
  if (point.kind === 'savepoint' && point.manifest !== undefined) kept.set(point.manifest, point.sha256)
  return [...kept].map(([manifest, sha256]) => ({ manifest, sha256 }))
}

/**
 * Files of the retired manifests that no kept one refers to. Savepoints' keys are relative to their
 * own directories and never shared.
 */
export function unreachableFiles(retired: readonly Manifest[], kept: readonly Manifest[]): string[] {
  const reachable = new Set(kept.flatMap(fileKeys))
  return [...new Set(retired.flatMap(fileKeys))].filter((key) => !reachable.has(key))
}

export interface OrphanInput {
  /** Manifests of `keptManifests`, and their own keys. */
  readonly kept: readonly Manifest[]
  readonly keptKeys: readonly string[]
  /** The open epoch: what it and later ones write may still be completed. */
  readonly epoch: number
  /** Objects younger than this may belong to requests in flight. */
  readonly minAgeMs: number
  readonly now: number
}

/** Objects below `chk/` that failed checkpoints of older epochs left behind. */
export function findOrphans(objects: readonly StoredObject[], input: OrphanInput): StoredObject[] {
  const reachable = new Set([...input.keptKeys, ...input.kept.flatMap(fileKeys)])
  return objects.filter((o) => {
    const checkpoint = o.key.startsWith(CHECKPOINT_PREFIX) ? parseCheckpointKey(o.key) : undefined
    return (
      checkpoint !== undefined &&
      checkpoint.epoch < input.epoch &&
      input.now - o.modifiedAt >= input.minAgeMs &&
      !reachable.has(o.key)
    )
  })
}
