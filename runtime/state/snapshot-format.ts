import { crc32, zstdCompress, zstdDecompressSync, constants } from 'node:zlib'
import { promisify } from 'node:util'
import { messageOf, WeirError } from '#runtime/base/errors'
import type { StateFileReader, StateSection } from './keyed-state.ts'
import { decodeIndex, encodeIndex, type IndexEntry } from './snapshot-index.ts'

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
 * | 8      | u8[]   | blocks back to back, in index order; plain or one zstd frame each | CRC-32 of the stored bytes, in the index |
 * | s-16-n | u8[n]  | index (snapshot-index.ts) | CRC-32 in the footer |
 * | s-16   | u32    | n, byte length of the index | CRC-32 in the footer |
 * | s-12   | u8[4]  | bytes 4..7 of the header again | CRC-32 in the footer |
 * | s-8    | u32    | CRC-32 of the index and footer bytes 0..7 | itself |
 * | s-4    | u8[4]  | magic "WSF1" | compared |
 *
 * The footer repeats the header, so that a ranged read needs only the end of the file and the
 * blocks it wants.
 */
export const STATE_FILE_VERSION = 1
const MAGIC = Buffer.from('WSF1')
const HEADER_BYTES = 8
const FOOTER_BYTES = 16
/** Smaller blocks gain less than a zstd frame and a call cost. */
const COMPRESS_ABOVE_BYTES = 512
const COMPRESSIONS_AT_ONCE = 8
/** First read of the end of a file: most indexes fit. */
const TAIL_BYTES = 32 * 1024
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
  const file = asBuffer(bytes)
  const tail = parseTail(file, file.length)
  if (!file.subarray(0, 4).equals(MAGIC)) throw corrupt(file.length, 'its first bytes are not "WSF1"')
  if (!file.subarray(4, HEADER_BYTES).equals(tail.header))
    throw corrupt(file.length, 'header and footer differ')
  return reader(tail.mode, tail.entries, file.length, (i) => {
    const { offset, storedBytes } = tail.entries[i]!
    return file.subarray(offset, offset + storedBytes)
  })
}

/** A state file of which only the parts needed are read. */
export interface LazyStateFile {
  readonly mode: 'full' | 'delta'
  readonly index: StateFileReader['index']
  /**
   * Byte ranges [start, end) of the blocks needed to restore key groups [from, to), operator lists
   * and drops included; neighbours joined, ascending.
   */
  ranges(from: number, to: number): readonly { readonly start: number; readonly end: number }[]
  /** Reads those ranges. The reader's index is cut to the blocks it holds. */
  load(from: number, to: number): Promise<StateFileReader>
}

/**
 * `readRange` gives bytes [start, end) of a file of `sizeBytes`. @throws {WeirError} STO_CORRUPT
 * naming what is wrong.
 */
export async function openStateFileLazily(
  sizeBytes: number,
  readRange: (start: number, end: number) => Promise<Uint8Array>,
): Promise<LazyStateFile> {
  const read = async (start: number, end: number) => {
    const bytes = asBuffer(await readRange(start, end))
    if (bytes.length !== end - start)
      throw corrupt(sizeBytes, `reading bytes [${start}, ${end}) gave ${bytes.length}`)
    return bytes
  }
  let tailBytes = await read(Math.max(0, sizeBytes - TAIL_BYTES), sizeBytes)
  const needed = tailSize(tailBytes, sizeBytes)
  if (needed > tailBytes.length) tailBytes = await read(sizeBytes - needed, sizeBytes)
  const { mode, entries } = parseTail(tailBytes, sizeBytes)
  const wanted = (from: number, to: number) =>
    entries.filter(({ section: s }) => s.kind !== 'entries' || (s.keyGroup >= from && s.keyGroup < to))
  return {
    mode,
    index: entries.map((e) => e.section),
    ranges: (from, to) => joinRanges(wanted(from, to)),
    async load(from, to) {
      const chosen = wanted(from, to)
      const parts = await Promise.all(
        joinRanges(chosen).map(async ({ start, end }) => ({ start, bytes: await read(start, end) })),
      )
      return reader(mode, chosen, sizeBytes, (i) => {
        const { offset, storedBytes } = chosen[i]!
        const part = parts.findLast((p) => p.start <= offset)!
        return part.bytes.subarray(offset - part.start, offset - part.start + storedBytes)
      })
    },
  }
}

interface PlacedEntry extends IndexEntry {
  readonly offset: number
}

function tailSize(tail: Buffer, sizeBytes: number): number {
  if (sizeBytes < HEADER_BYTES + FOOTER_BYTES || !tail.subarray(-4).equals(MAGIC))
    throw corrupt(sizeBytes, 'it does not end with a footer; it may be cut off')
  const size = tail.readUInt32LE(tail.length - FOOTER_BYTES) + FOOTER_BYTES
  if (size > sizeBytes - HEADER_BYTES)
    throw corrupt(sizeBytes, `its index of ${size - FOOTER_BYTES} bytes does not fit`)
  return size
}

/** `tail`: the last bytes of the file, at least index and footer. */
function parseTail(
  tail: Buffer,
  sizeBytes: number,
): { mode: 'full' | 'delta'; header: Buffer; entries: PlacedEntry[] } {
  const size = tailSize(tail, sizeBytes)
  const index = tail.subarray(tail.length - size, tail.length - FOOTER_BYTES)
  const footer = tail.subarray(tail.length - FOOTER_BYTES)
  if (footer.readUInt32LE(8) !== crc32(footer.subarray(0, 8), crc32(index)))
    throw corrupt(sizeBytes, 'the checksum of its index does not match')
  const header = footer.subarray(4, 8)
  if (header[0] !== STATE_FILE_VERSION)
    throw corrupt(
      sizeBytes,
      `it has format version ${header[0]}, this version of Weir reads ${STATE_FILE_VERSION}`,
    )
  const mode = MODES[header[1]!]
  if (mode === undefined) throw corrupt(sizeBytes, `it has unknown mode ${header[1]}`)
  let offset = HEADER_BYTES
  const entries: PlacedEntry[] = []
  for (const entry of decodeIndex(index)) {
    entries.push({ ...entry, offset })
    offset += entry.storedBytes
  }
  if (offset !== sizeBytes - size)
    throw corrupt(sizeBytes, `its blocks end at ${offset}, its index begins at ${sizeBytes - size}`)
  return { mode, header, entries }
}

function reader(
  mode: 'full' | 'delta',
  entries: readonly IndexEntry[],
  sizeBytes: number,
  stored: (i: number) => Buffer,
): StateFileReader {
  return {
    mode,
    index: entries.map((e) => e.section),
    bytes(i) {
      const entry = entries[i]
      if (entry === undefined)
        throw new WeirError('BUG', `Block ${i} of a state file with ${entries.length} blocks.`)
      const bytes = stored(i)
      const { uid, table, keyGroup } = entry.section
      const name = `block ${i} (operator ${uid}, table ${table}, key group ${keyGroup})`
      if (crc32(bytes) !== entry.crc) throw corrupt(sizeBytes, `the checksum of ${name} does not match`)
      return entry.isCompressed ? decompress(bytes, entry.rawBytes, sizeBytes, name) : bytes
    },
  }
}

function decompress(bytes: Buffer, rawBytes: number, sizeBytes: number, name: string): Buffer {
  try {
    const raw = zstdDecompressSync(bytes, { maxOutputLength: Math.max(rawBytes, 1) })
    if (raw.length === rawBytes) return raw
  } catch (error) {
    throw corrupt(sizeBytes, `${name} cannot be decompressed: ${messageOf(error)}`, error)
  }
  throw corrupt(sizeBytes, `${name} does not decompress to ${rawBytes} bytes`)
}

function joinRanges(entries: readonly PlacedEntry[]): { start: number; end: number }[] {
  const ranges: { start: number; end: number }[] = []
  for (const { offset, storedBytes } of entries) {
    const last = ranges.at(-1)
    if (last?.end === offset) last.end = offset + storedBytes
    else ranges.push({ start: offset, end: offset + storedBytes })
  }
  return ranges
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

function corrupt(sizeBytes: number, why: string, cause?: unknown): WeirError {
  return new WeirError('STO_CORRUPT', `Cannot read a state file of ${sizeBytes} bytes: ${why}.`, { cause })
}
