/**
 * The index of a state file: one entry a block, in the blocks' order. PERSISTED: a batch
 * (element/batch-codec.ts) of one row, an object of columns of equal length.
 *
 * | key | column |
 * | --- | ------ |
 * | names | strings that the next two columns point into |
 * | uid, table | number of the name |
 * | ns | namespace, or null |
 * | group | key group, -1 for operator lists |
 * | kind | 0 entries, 1 list-split, 2 list-union, 3 drop |
 * | count | entries in the block |
 * | stored, raw | byte length in the file and after decompression |
 * | zstd | 1 when the block is one zstd frame |
 * | crc | CRC-32 of the stored bytes |
 */
import * as z from 'zod'
import { messageOf, WeirError } from '#runtime/base/errors'
import { decodeBatch, encodeBatch } from '#runtime/element/batch-codec'
import type { StateSection } from './keyed-state.ts'

const KINDS = [
  'entries',
  'list-split',
  'list-union',
  'drop',
] as const satisfies readonly StateSection['kind'][]

const count = z.int().nonnegative()
const indexColumns = z.object({
  names: z.array(z.string()),
  uid: z.array(count),
  table: z.array(count),
  ns: z.array(z.number().nullable()),
  group: z.array(z.int().min(-1)),
  kind: z.array(
    z
      .int()
      .min(0)
      .max(KINDS.length - 1),
  ),
  count: z.array(count),
  stored: z.array(count),
  raw: z.array(count),
  zstd: z.array(z.union([z.literal(0), z.literal(1)])),
  crc: z.array(count),
})

export interface IndexEntry {
  readonly section: Omit<StateSection, 'bytes'>
  readonly storedBytes: number
  readonly rawBytes: number
  readonly isCompressed: boolean
  readonly crc: number
}

export function encodeIndex(entries: readonly IndexEntry[]): Uint8Array {
  const names = new Map<string, number>()
  const nameOf = (text: string) => {
    const known = names.get(text)
    if (known !== undefined) return known
    names.set(text, names.size)
    return names.size - 1
  }
  const columns: z.infer<typeof indexColumns> = {
    uid: entries.map((e) => nameOf(e.section.uid)),
    table: entries.map((e) => nameOf(e.section.table)),
    ns: entries.map((e) => e.section.namespace ?? null),
    group: entries.map((e) => e.section.keyGroup),
    kind: entries.map((e) => KINDS.indexOf(e.section.kind)),
    count: entries.map((e) => e.section.entryCount),
    stored: entries.map((e) => e.storedBytes),
    raw: entries.map((e) => e.rawBytes),
    zstd: entries.map((e) => (e.isCompressed ? 1 : 0)),
    crc: entries.map((e) => e.crc),
    names: [...names.keys()],
  }
  return encodeBatch([columns], undefined, 1)
}

/** @throws {WeirError} STO_CORRUPT when the bytes are not an index. */
export function decodeIndex(bytes: Uint8Array): IndexEntry[] {
  let columns: z.infer<typeof indexColumns>
  try {
    columns = indexColumns.parse(decodeBatch(bytes).rows[0])
  } catch (error) {
    throw new WeirError('STO_CORRUPT', `Cannot decode the index of a state file: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const { names, uid, table, ns, group, kind, crc, stored, raw, zstd } = columns
  return uid.map((u, i) => ({
    section: {
      uid: names[u]!,
      table: names[table[i]!]!,
      ...(ns[i] === null ? {} : { namespace: ns[i]! }),
      keyGroup: group[i]!,
      kind: KINDS[kind[i]!]!,
      entryCount: columns.count[i]!,
    },
    storedBytes: stored[i]!,
    rawBytes: raw[i]!,
    isCompressed: zstd[i] === 1,
    crc: crc[i]!,
  }))
}
