/**
 * Operator list state: items that belong to a subtask, not to a key. Sections with key group -1;
 * the bytes are one batch (element/batch-codec.ts).
 */
import { decodeBatch, encodeBatch } from '#runtime/element/batch-codec'
import type { StateFileReader, StateSection } from './keyed-state.ts'

export type ListStateMode = 'split' | 'union'

/** @throws {WeirError} USR_FAILED when an item cannot be encoded. */
export function encodeListSection(
  uid: string,
  name: string,
  mode: ListStateMode,
  items: readonly unknown[],
): StateSection {
  return {
    uid,
    table: name,
    keyGroup: -1,
    kind: mode === 'split' ? 'list-split' : 'list-union',
    entryCount: items.length,
    bytes: encodeBatch(items, undefined, items.length),
  }
}

/** The items of one section. @throws {WeirError} STO_CORRUPT */
function decodeListSection(bytes: Uint8Array): unknown[] {
  return decodeBatch(bytes).rows
}

/**
 * The items of list state `name` of operator `uid` in one state file, and how they were declared;
 * undefined when the file has none.
 */
export function readListState(
  file: StateFileReader,
  uid: string,
  name: string,
): { mode: ListStateMode; items: unknown[] } | undefined {
  let found: { mode: ListStateMode; items: unknown[] } | undefined
  for (const [i, section] of file.index.entries()) {
    if (section.uid !== uid || section.table !== name || section.keyGroup !== -1) continue
    found ??= { mode: section.kind === 'list-union' ? 'union' : 'split', items: [] }
    found.items.push(...decodeListSection(file.bytes(i)))
  }
  return found
}

/**
 * Deals the items of the old subtasks, in their order, to `parallelism` new ones round robin: no
 * two get counts more than one apart, none is lost or doubled.
 */
export function redistribute<T>(itemsPerOldSubtask: readonly (readonly T[])[], parallelism: number): T[][] {
  const dealt: T[][] = Array.from({ length: parallelism }, () => [])
  let next = 0
  for (const items of itemsPerOldSubtask) for (const item of items) dealt[next++ % parallelism]!.push(item)
  return dealt
}
