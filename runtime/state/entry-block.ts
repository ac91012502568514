/**
 * One block of keyed entries: removed keys, then keys with values, all of one table, namespace and
 * key group. Removals are applied first. PERSISTED; a new layout gets a new codec id. Little
 * endian.
 *
 * | offset | type  | meaning |
 * | ------ | ----- | ------- |
 * | 0      | u8    | block codec id: 1 |
 * | 1      | u8[3] | 0 |
 * | 4      | u32   | count of removed keys |
 * | 8      | u32   | count of entries |
 * | 12     | u32   | byte length a of the batch of removed keys; 0 when there are none |
 * | 16     | u32   | byte length b of the batch of keys; 0 when there are none |
 * | 20     | u8[a] | removed keys (element/batch-codec.ts) |
 * | 20+a   | u8[b] | keys |
 * | 20+a+b |       | values, to the end |
 */
import { WeirError } from '#runtime/base/errors'
import { decodeBatch, encodeBatch } from '#runtime/element/batch-codec'

const BLOCK_CODEC = 1
const HEADER_BYTES = 20

export interface EntryBlock {
  readonly removed: readonly unknown[]
  readonly keys: readonly unknown[]
  readonly values: readonly unknown[]
}

const NOTHING = new Uint8Array(0)
const encodeAll = (rows: readonly unknown[]) =>
  rows.length === 0 ? NOTHING : encodeBatch(rows, undefined, rows.length)

/** @throws {WeirError} USR_FAILED when a key or value cannot be encoded. */
export function encodeEntryBlock({ removed, keys, values }: EntryBlock): Uint8Array {
  const parts = [encodeAll(removed), encodeAll(keys), encodeAll(values)] as const
  const header = Buffer.alloc(HEADER_BYTES)
  header[0] = BLOCK_CODEC
  header.writeUInt32LE(removed.length, 4)
  header.writeUInt32LE(keys.length, 8)
  header.writeUInt32LE(parts[0].length, 12)
  header.writeUInt32LE(parts[1].length, 16)
  return Buffer.concat([header, ...parts])
}

/** @throws {WeirError} STO_CORRUPT */
export function decodeEntryBlock(bytes: Uint8Array): EntryBlock {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (block.length < HEADER_BYTES) throw corrupt(block, `expected at least ${HEADER_BYTES} bytes`)
  if (block[0] !== BLOCK_CODEC)
    throw corrupt(block, `unknown codec id ${block[0]}; it may have been written by a newer version`)
  const keysAt = HEADER_BYTES + block.readUInt32LE(12)
  const valuesAt = keysAt + block.readUInt32LE(16)
  if (valuesAt > block.length) throw corrupt(block, 'its parts do not fit')
  const decodeAll = (from: number, to: number) =>
    from === to ? [] : decodeBatch(block.subarray(from, to)).rows
  const result = {
    removed: decodeAll(HEADER_BYTES, keysAt),
    keys: decodeAll(keysAt, valuesAt),
    values: decodeAll(valuesAt, block.length),
  }
  const expected = [block.readUInt32LE(4), block.readUInt32LE(8), block.readUInt32LE(8)]
  if (
    result.removed.length !== expected[0] ||
    result.keys.length !== expected[1] ||
    result.values.length !== expected[2]
  )
    throw corrupt(block, `expected ${expected.join(', ')} removed keys, keys and values`)
  return result
}

function corrupt(block: Uint8Array, why: string): WeirError {
  return new WeirError('STO_CORRUPT', `Cannot decode a state block of ${block.length} bytes: ${why}.`)
}
