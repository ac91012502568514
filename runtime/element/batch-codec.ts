import { addExtension, Packr } from 'msgpackr'
import { messageOf, WeirError } from '#runtime/base/errors'
import { JobFault } from '#runtime/base/job-fault'
import { replaceLoneSurrogates } from './msgpack-text.ts'
import { DATA_ADVICE, findNoData, hasBehaviour } from './plain-data.ts'

/**
 * A batch of values, with timestamps or without, as self-contained bytes: for data frames and for
 * blocks of state files. PERSISTED and on the wire; a new layout gets a new codec id. All integers
 * and floats are little endian.
 *
 * | offset | type   | meaning |
 * | ------ | ------ | ------- |
 * | 0      | u8     | codec id: 0 msgpack, 1 strings, 2 f64, 3 i32 |
 * | 1      | u8     | flags: 1 = timestamps follow |
 * | 2      | u16    | 0 |
 * | 4      | u32    | row count n |
 * | 8      | f64[n] | timestamps, if flagged; -Infinity: none |
 * | ...    |        | rows by codec, to the end of the bytes |
 *
 * | codec | rows |
 * | ----- | ---- |
 * | 0     | one msgpack array of n values |
 * | 1     | u8 width w (1, 2 or 4), uw[n] UTF-8 byte lengths, the UTF-8 bytes |
 * | 2     | f64[n], bit for bit |
 * | 3     | i32[n]; only when every row is an integer in range and none is -0 |
 *
 * Codec 0 defines its record structures (msgpackr extension 0x72) inside the array. Codec 1 sets
 * bit 7 of the width when all bytes are ASCII.
 *
 * What codec 0 keeps: undefined, null, booleans, all numbers but the sign of -0, bigint of any
 * size, strings, Date, Map, Set, RegExp, Error, binary data and typed arrays, plain objects and
 * arrays of these. Instances of classes without methods come back as plain objects of their own
 * enumerable properties. Refused are functions, symbols, circles, and instances of classes with
 * methods or accessors. Lone surrogates become U+FFFD; a property named `__proto__` is renamed.
 */
export const CODEC_MSGPACK = 0
export const CODEC_STRINGS = 1
export const CODEC_F64 = 2
export const CODEC_I32 = 3

const FLAG_TIMESTAMPS = 1
const HEADER_BYTES = 8
const WIDTH_ASCII = 0x80
/**
 * V8 copies substrings below this length; longer ones would keep the whole decoded column alive as
 * long as one of them lives.
 */
const COPIED_SUBSTRING_LENGTH = 13

const OPTIONS = { useRecords: true, moreTypes: true, useBigIntExtension: true, copyBuffers: true } as const
const packr = new Packr(OPTIONS)

class NoData extends Error {}
const refuse = (): never => {
  throw new NoData('is not data')
}

/**
 * What the packer does with functions and with instances of classes that it has no code for. It
 * asks only where a value is neither plain object, array nor Map, so plain data pay nothing. The
 * packer's extensions are those of the whole process: this one is none while nothing is encoded
 * here.
 */
let isEncoding = false
Object.assign(packr, { writeFunction: refuse })
addExtension({
  Class: {
    [Symbol.hasInstance]: (value: object): boolean =>
      isEncoding && value.constructor !== Date && hasBehaviour(value),
  },
  write: refuse,
} as unknown as Parameters<typeof addExtension>[0])

export interface Batch {
  readonly rows: unknown[]
  readonly timestamps: Float64Array | undefined
}

/**
 * Encodes `rows[0, n)` and `timestamps[0, n)`. The result is the caller's; its first `reserve`
 * bytes are left for a header of the caller's.
 * @throws {JobFault} when a value cannot be encoded.
 */
export function encodeBatch(
  rows: readonly unknown[],
  timestamps: Float64Array | undefined,
  n: number,
  reserve = 0,
): Uint8Array {
  const start = reserve + HEADER_BYTES + (timestamps === undefined ? 0 : n * 8)
  const codec = codecOf(rows, n)
  const bytes =
    codec === CODEC_STRINGS
      ? putStrings(rows as readonly string[], n, start)
      : codec === CODEC_MSGPACK
        ? putMsgpack(rows, n, start)
        : putNumbers(codec, rows as readonly number[], n, start)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  view.setUint8(reserve, codec)
  view.setUint8(reserve + 1, timestamps === undefined ? 0 : FLAG_TIMESTAMPS)
  view.setUint16(reserve + 2, 0)
  view.setUint32(reserve + 4, n, true)
  if (timestamps !== undefined)
    for (let i = 0; i < n; i++) view.setFloat64(reserve + HEADER_BYTES + i * 8, timestamps[i]!, true)
  return bytes
}

/**
 * The inverse of encodeBatch. The rows share no memory with `bytes`. @throws {WeirError}
 * STO_CORRUPT when the bytes are not one whole batch.
 */
export function decodeBatch(bytes: Uint8Array): Batch {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.length < HEADER_BYTES) throw corrupt(view, `expected at least ${HEADER_BYTES} bytes of header`)
  const codec = view[0]!
  const flags = view[1]!
  if (flags > FLAG_TIMESTAMPS || view.readUInt16LE(2) !== 0)
    throw corrupt(view, 'unknown flags in its header')
  const n = view.readUInt32LE(4)
  let at = HEADER_BYTES
  let timestamps: Float64Array | undefined
  if (flags === FLAG_TIMESTAMPS) {
    if (view.length < at + n * 8) throw corrupt(view, `${n} timestamps do not fit`)
    timestamps = new Float64Array(n)
    for (let i = 0; i < n; i++) timestamps[i] = view.readDoubleLE(at + i * 8)
    at += n * 8
  }
  return { rows: takeRows(view, codec, n, at), timestamps }
}

function takeRows(view: Buffer, codec: number, n: number, at: number): unknown[] {
  switch (codec) {
    case CODEC_MSGPACK:
      return takeMsgpack(view, n, at)
    case CODEC_STRINGS:
      return takeStrings(view, n, at)
    case CODEC_F64:
    case CODEC_I32:
      return takeNumbers(view, codec, n, at)
    default:
      throw corrupt(view, `unknown codec id ${codec}; it may have been written by a newer version`)
  }
}

function codecOf(rows: readonly unknown[], n: number): number {
  const first = n === 0 ? undefined : typeof rows[0]
  if (first !== 'string' && first !== 'number') return CODEC_MSGPACK
  for (let i = 1; i < n; i++) if (typeof rows[i] !== first) return CODEC_MSGPACK
  return first === 'string' ? CODEC_STRINGS : codecOfNumbers(rows as readonly number[], n)
}

function codecOfNumbers(rows: readonly number[], n: number): number {
  for (let i = 0; i < n; i++) {
    const value = rows[i]!
    if ((value | 0) !== value || (value === 0 && 1 / value < 0)) return CODEC_F64
  }
  return CODEC_I32
}

function putMsgpack(rows: readonly unknown[], n: number, start: number): Buffer {
  let packed: Buffer
  isEncoding = true
  try {
    packed = packr.pack(rows.length === n ? rows : rows.slice(0, n))
  } catch (error) {
    throw cannotEncode(rows.slice(0, n), error)
  } finally {
    isEncoding = false
  }
  replaceLoneSurrogates(packed)
  const bytes = Buffer.allocUnsafe(start + packed.length)
  bytes.set(packed, start)
  return bytes
}

function cannotEncode(rows: readonly unknown[], cause: unknown): JobFault {
  for (const row of rows) {
    const flaw = findNoData(row)
    if (flaw !== undefined) return new JobFault(`Cannot store or send ${flaw}. ${DATA_ADVICE}`)
  }
  return new JobFault(`Cannot encode a batch of ${rows.length} values: ${messageOf(cause)}.`, cause)
}

function takeMsgpack(view: Buffer, n: number, at: number): unknown[] {
  let rows: unknown
  try {
    rows = packr.unpack(view.subarray(at))
  } catch (error) {
    throw corrupt(view, messageOf(error), error)
  }
  if (!Array.isArray(rows) || rows.length !== n) throw corrupt(view, `expected an array of ${n} values`)
  return rows
}

function putNumbers(codec: number, rows: readonly number[], n: number, start: number): Buffer {
  const width = codec === CODEC_I32 ? 4 : 8
  const bytes = Buffer.allocUnsafe(start + n * width)
  if (codec === CODEC_I32) for (let i = 0; i < n; i++) bytes.writeInt32LE(rows[i]!, start + i * 4)
  else for (let i = 0; i < n; i++) bytes.writeDoubleLE(rows[i]!, start + i * 8)
  return bytes
}

function takeNumbers(view: Buffer, codec: number, n: number, at: number): number[] {
  const width = codec === CODEC_I32 ? 4 : 8
  if (view.length !== at + n * width) throw corrupt(view, `expected ${n} numbers of ${width} bytes`)
  const rows: number[] = []
  for (let i = 0; i < n; i++)
    rows.push(codec === CODEC_I32 ? view.readInt32LE(at + i * 4) : view.readDoubleLE(at + i * 8))
  return rows
}

function putStrings(rows: readonly string[], n: number, start: number): Buffer {
  const longest = longestOf(rows, n)
  // Rows are joined only to find out in one native pass whether all are ASCII: joined surrogate
  // halves of two rows could become one character.
  const joined = (rows.length === n ? rows : rows.slice(0, n)).join('')
  const units = joined.length
  const isAscii = Buffer.byteLength(joined) === units
  const width = widthOf(isAscii ? longest : longest * 3)
  const blob = start + 1 + n * width
  const bytes = Buffer.allocUnsafe(blob + (isAscii ? units : units * 3))
  bytes[start] = isAscii ? width | WIDTH_ASCII : width
  let at = blob
  if (isAscii) at += bytes.write(joined, at, 'latin1')
  for (let i = 0; i < n; i++) {
    const row = rows[i]!
    const length = isAscii ? row.length : bytes.write(row, at, 'utf8')
    if (!isAscii) at += length
    putLength(bytes, width, start + 1 + i * width, length)
  }
  return at === bytes.length ? bytes : bytes.subarray(0, at)
}

/** In UTF-16 code units. */
function longestOf(rows: readonly string[], n: number): number {
  let longest = 0
  for (let i = 0; i < n; i++) if (rows[i]!.length > longest) longest = rows[i]!.length
  return longest
}

function takeStrings(view: Buffer, n: number, at: number): string[] {
  const head = view[at] ?? 0
  const width = head & ~WIDTH_ASCII
  const blob = at + 1 + n * width
  if (!isWidth(width) || view.length < blob) throw corrupt(view, `expected the lengths of ${n} strings`)
  const column = view.subarray(blob)
  const size = column.length
  const ascii = (head & WIDTH_ASCII) === 0 ? undefined : column.toString('latin1')
  const rows: string[] = []
  let offset = 0
  for (let i = 0; i < n; i++) {
    const length = takeLength(view, width, at + 1 + i * width)
    const next = offset + length
    if (next > size) throw corrupt(view, `string ${i} of ${n} does not fit`)
    rows.push(
      ascii === undefined ? column.toString('utf8', offset, next) : takeAscii(column, ascii, offset, next),
    )
    offset = next
  }
  if (offset !== size) throw corrupt(view, `${size - offset} bytes are left over`)
  return rows
}

/** `ascii`: the whole column, decoded. */
function takeAscii(column: Buffer, ascii: string, from: number, to: number): string {
  return to - from < COPIED_SUBSTRING_LENGTH ? ascii.slice(from, to) : column.toString('latin1', from, to)
}

function widthOf(longest: number): 1 | 2 | 4 {
  return longest <= 0xff ? 1 : longest <= 0xffff ? 2 : 4
}

const isWidth = (width: number): boolean => width === 1 || width === 2 || width === 4

function putLength(bytes: Buffer, width: number, at: number, length: number): void {
  if (width === 1) bytes[at] = length
  else if (width === 2) bytes.writeUInt16LE(length, at)
  else bytes.writeUInt32LE(length, at)
}

function takeLength(view: Buffer, width: number, at: number): number {
  return width === 1 ? view[at]! : width === 2 ? view.readUInt16LE(at) : view.readUInt32LE(at)
}

function corrupt(view: Buffer, why: string, cause?: unknown): WeirError {
  return new WeirError('STO_CORRUPT', `Cannot decode a batch of ${view.length} bytes: ${why}.`, { cause })
}
