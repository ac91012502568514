/**
 * A state file: blocks of one subtask's state, an index, a footer. PERSISTED; readers refuse a
 * version they do not know. Little endian.
 *
 * | offset | type   | meaning | covered by |
 * | ------ | ------ | ------- | ---------- |
 * | 0      | u8[4]  | magic "WSF1" | compared |
 * | 4      | u8     | format version: 1 | compared with the footer |
 * | 5      | u8     | mode: 0 full, 1 delta | " |
 * | 6      | u8     | 1 when any block is compressed | " |
 * | 7      | u8     | 0 | " |
 * | 8      | u8[]   | blocks in index order, each plain or a zstd frame | CRC-32 in the index |
 * | s-16-n | u8[n]  | index (snapshot-index.ts) | CRC-32 in the footer |
 * | s-16   | u32    | n, byte length of the index | CRC-32 in the footer |
 * | s-12   | u8[4]  | bytes 4..7 of the header again | CRC-32 in the footer |
 * | s-8    | u32    | CRC-32 of the index and footer bytes 0..7 | itself |
 * | s-4    | u8[4]  | magic "WSF1" | compared |
 *
 * The footer repeats the header, so that the end of a file says what its blocks are.
 */
import { crc32, zstdCompress, zstdDecompressSync, constants } from 'node:zlib'
import { promisify } from 'node:util'
import { messageOf, WeirError } from '#runtime/base/errors'
import type { StateFileReader, StateSection } from './keyed-state.ts'
import { decodeIndex, encodeIndex, type IndexEntry } from './snapshot-index.ts'

const STATE_FILE_VERSION = 1
const MAGIC = Buffer.from('WSF1')
const HEADER_BYTES = 8
const FOOTER_BYTES = 16
/** Smaller blocks gain less than a zstd frame and a call cost. */
const COMPRESS_ABOVE_BYTES = 512
const COMPRESSIONS_AT_ONCE = 8
const MODES = ['full', 'delta'] as const

const zstd = promisify(zstdCompress)
const ZSTD_OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

export interface StateFileContent {
  readonly mode: 'full' | 'delta'
  readonly sections: readonly StateSection[]
}

/**
 * The bytes of a state file. Compression (zstd level 1, on the thread pool) makes it asynchronous.
 */
export function encodeStateFile(content: StateFileContent, options: { readonly compress: false }): Uint8Array
export function encodeStateFile(
  content: StateFileContent,
  options: { readonly compress: true },
): Promise<Uint8Array>
export function encodeStateFile(
  content: StateFileContent,
  options: { readonly compress: boolean },
): Uint8Array | Promise<Uint8Array>
export function encodeStateFile(
  content: StateFileContent,
  options: { readonly compress: boolean },
): Uint8Array | Promise<Uint8Array> {
  const blocks = content.sections.map((section) => section.bytes)
  return options.compress
    ? compressAll(blocks).then((stored) => assemble(content, stored))
    : assemble(content, blocks)
}

async function compressAll(blocks: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const stored = [...blocks]
  let next = 0
  const work = async () => {
    while (next < blocks.length) {
      const i = next++
      const block = blocks[i]!
      if (block.length <= COMPRESS_ABOVE_BYTES) continue
      const compressed = await zstd(block, ZSTD_OPTIONS)
      if (compressed.length < block.length) stored[i] = compressed
    }
  }
  await Promise.all(Array.from({ length: COMPRESSIONS_AT_ONCE }, work))
  return stored
}

function assemble({ mode, sections }: StateFileContent, stored: readonly Uint8Array[]): Uint8Array {
  const entries = sections.map((section, i) => ({
    section,
    storedBytes: stored[i]!.length,
    rawBytes: section.bytes.length,
    isCompressed: stored[i] !== section.bytes,
    crc: crc32(stored[i]!),
  }))
  const index = encodeIndex(entries)
  const header = Buffer.alloc(HEADER_BYTES)
  header.set(MAGIC)
  header[4] = STATE_FILE_VERSION
  header[5] = MODES.indexOf(mode)
  header[6] = entries.some((e) => e.isCompressed) ? 1 : 0
  const footer = Buffer.alloc(FOOTER_BYTES)
  footer.writeUInt32LE(index.length, 0)
  footer.set(header.subarray(4), 4)
  footer.writeUInt32LE(crc32(footer.subarray(0, 8), crc32(index)), 8)
  footer.set(MAGIC, 12)
  return Buffer.concat([header, ...stored, index, footer])
}

/**
 * Checks index and footer at once, each block when it is read. @throws {WeirError} STO_CORRUPT
 * naming what is wrong.
 */
export function openStateFile(bytes: Uint8Array): StateFileReader {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const { mode, entries } = parse(file)
  return {
    mode,
    index: entries.map((e) => e.section),
    bytes(i) {
      const entry = entries[i]
      if (entry === undefined)
        throw new WeirError('BUG', `Block ${i} of a state file with ${entries.length} blocks.`)
      return readBlock(file, i, entry)
    },
  }
}

interface PlacedEntry extends IndexEntry {
  readonly offset: number
}

function parse(file: Buffer): { mode: 'full' | 'delta'; entries: PlacedEntry[] } {
  if (file.length < HEADER_BYTES + FOOTER_BYTES || !file.subarray(-4).equals(MAGIC))
    throw corrupt(file, 'it does not end with a footer; it may be cut off')
  const footer = file.subarray(-FOOTER_BYTES)
  const indexBytes = footer.readUInt32LE(0)
  const indexAt = file.length - FOOTER_BYTES - indexBytes
  if (indexAt < HEADER_BYTES) throw corrupt(file, `its index of ${indexBytes} bytes does not fit`)
  const index = file.subarray(indexAt, indexAt + indexBytes)
  if (footer.readUInt32LE(8) !== crc32(footer.subarray(0, 8), crc32(index)))
    throw corrupt(file, 'the checksum of its index does not match')
  const mode = checkHeader(file, footer.subarray(4, 8))
  const entries = placed(decodeIndex(index))
  const last = entries.at(-1)
  const end = last === undefined ? HEADER_BYTES : last.offset + last.storedBytes
  if (end !== indexAt) throw corrupt(file, `its blocks end at ${end}, its index begins at ${indexAt}`)
  return { mode, entries }
}

/** `repeated`: what the footer says that the header is. */
function checkHeader(file: Buffer, repeated: Buffer): 'full' | 'delta' {
  if (repeated[0] !== STATE_FILE_VERSION)
    throw corrupt(
      file,
      `it has format version ${repeated[0]}, this version of Weir reads ${STATE_FILE_VERSION}`,
    )
  const mode = MODES[repeated[1]!]
  if (mode === undefined) throw corrupt(file, `it has unknown mode ${repeated[1]}`)
  if (!file.subarray(0, 4).equals(MAGIC)) throw corrupt(file, 'its first bytes are not "WSF1"')
  if (!file.subarray(4, HEADER_BYTES).equals(repeated)) throw corrupt(file, 'header and footer differ')
  return mode
}

function placed(index: readonly IndexEntry[]): PlacedEntry[] {
  let offset = HEADER_BYTES
  return index.map((entry) => {
    const at = offset
    offset += entry.storedBytes
    return { ...entry, offset: at }
  })
}

function readBlock(file: Buffer, i: number, { section, offset, ...entry }: PlacedEntry): Buffer {
  const { uid, table, keyGroup } = section
  const name = `block ${i} (operator ${uid}, table ${table}, key group ${keyGroup})`
  const stored = file.subarray(offset, offset + entry.storedBytes)
  if (crc32(stored) !== entry.crc) throw corrupt(file, `the checksum of ${name} does not match`)
  if (!entry.isCompressed) return stored
  const { rawBytes } = entry
  const raw = decompress(file, stored, rawBytes, name)
  if (raw.length === rawBytes) return raw
  throw corrupt(file, `${name} does not decompress to ${rawBytes} bytes`)
}

function decompress(file: Buffer, stored: Buffer, rawBytes: number, name: string): Buffer {
  try {
    return zstdDecompressSync(stored, { maxOutputLength: Math.max(rawBytes, 1) })
  } catch (error) {
    throw corrupt(file, `${name} cannot be decompressed: ${messageOf(error)}`, error)
  }
}

function corrupt(file: Buffer, why: string, cause?: unknown): WeirError {
  return new WeirError('STO_CORRUPT', `Cannot read a state file of ${file.length} bytes: ${why}.`, { cause })
}
