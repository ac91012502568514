import { JobFault } from '#runtime/base/job-fault'

/**
 * The canonical bytes of a key. Two keys are the same key if and only if their bytes are equal; the
 * key group is a hash of them. PERSISTED: never changes within format version 1 (test vectors in
 * test/unit/element/key-encoding.test.ts).
 *
 * | tag  | type      | bytes after the tag |
 * | ---- | --------- | ------------------- |
 * | 0x00 | null      | none |
 * | 0x01 | false     | none |
 * | 0x02 | true      | none |
 * | 0x03 | number    | f64 little endian, 8 bytes; -0 is stored as 0 |
 * | 0x04 | string    | UTF-8; as an item or member: u32 LE byte length, then UTF-8 |
 * | 0x05 | bigint    | u8 sign (1: negative), magnitude big endian without leading zeros |
 * | 0x06 | array     | u32 LE item count, then each item with its tag |
 * | 0x07 | object    | u32 LE member count, then each member: name, value with its tag |
 * | 0x08 | undefined | none; only as an item of an array |
 *
 * A bigint as an item or member has the u32 LE length of sign and magnitude first. Members are
 * ordered by name (UTF-16 code units); a name is its u32 LE byte length and its UTF-8. Members that
 * are undefined are left out.
 *
 * Refused, because their identity would be lost in a snapshot: undefined, NaN, infinities,
 * functions, symbols, Date, Map, Set, binary data, class instances. A lone surrogate in a string or
 * name is U+FFFD, as in UTF-8: `normalKey` is the key that comes back from the bytes.
 */
const NULL = 0
const FALSE = 1
const TRUE = 2
export const NUMBER_TAG = 3
export const STRING_TAG = 4
const BIGINT = 5
const ARRAY = 6
const OBJECT = 7
const UNDEFINED = 8

const MAX_DEPTH = 32
const encoder = new TextEncoder()
let buffer = Buffer.allocUnsafe(256)
let end = 0

function reserve(size: number): void {
  if (end + size <= buffer.length) return
  const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, end + size))
  larger.set(buffer.subarray(0, end))
  buffer = larger
}

/**
 * The canonical bytes; valid until the next call of this module. @throws {JobFault}
 * when the value cannot be a key.
 */
export function encodeKey(key: unknown): Uint8Array {
  end = 0
  if (key === undefined) throw refusal(key)
  if (typeof key === 'string') {
    reserve(1 + key.length * 3)
    buffer[end++] = STRING_TAG
    end += encoder.encodeInto(key, buffer.subarray(end)).written
  } else if (typeof key === 'bigint') {
    putBigint(key, false)
  } else {
    putValue(key, 0)
  }
  return buffer.subarray(0, end)
}

/**
 * The canonical bytes as a string of code units 0..255: the identity of structural keys in a Map.
 */
export function canonicalKey(key: object): string {
  encodeKey(key)
  return buffer.toString('latin1', 0, end)
}

/**
 * The key that `key` stands for: with U+FFFD in place of each lone surrogate. Whoever tells keys
 * apart by anything else than their bytes does it by this one. Itself where nothing is to be
 * replaced.
 */
export function normalKey<K>(key: K): K
export function normalKey(key: unknown): unknown {
  if (typeof key === 'string') return key.toWellFormed()
  return isWellFormed(key, 0) ? key : toWellFormed(key, 0)
}

/** Of what is nested too deep nothing is asked: the encoding refuses it. */
function isWellFormed(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return true
  return Object.entries(value).every(
    ([name, member]) => name.isWellFormed() && isWellFormed(member, depth + 1),
  )
}

function toWellFormed(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.toWellFormed()
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return value
  if (Array.isArray(value)) return value.map((item) => toWellFormed(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name.toWellFormed(), toWellFormed(member, depth + 1)]),
  )
}

function putValue(value: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw refusal(value)
  reserve(16)
  switch (typeof value) {
    case 'string':
      buffer[end++] = STRING_TAG
      return putString(value)
    case 'number':
      return putNumber(value)
    case 'boolean':
      buffer[end++] = value ? TRUE : FALSE
      return
    case 'bigint':
      return putBigint(value, true)
    case 'undefined':
      buffer[end++] = UNDEFINED
      return
    case 'object':
      return putStructure(value, depth)
    default:
      throw refusal(value)
  }
}

function putStructure(value: object | null, depth: number): void {
  if (value === null) buffer[end++] = NULL
  else if (Array.isArray(value)) putArray(value, depth)
  else if (isPlainObject(value)) putObject(value, depth)
  else throw refusal(value)
}

function putNumber(value: number): void {
  if (!Number.isFinite(value)) throw refusal(value)
  buffer[end++] = NUMBER_TAG
  buffer.writeDoubleLE(value === 0 ? 0 : value, end)
  end += 8
}

function putU32(n: number): void {
  buffer.writeUInt32LE(n, end)
  end += 4
}

function putString(text: string): void {
  reserve(4 + text.length * 3)
  const at = end
  end += 4
  const { written } = encoder.encodeInto(text, buffer.subarray(end))
  buffer.writeUInt32LE(written, at)
  end += written
}

function putBigint(value: bigint, nested: boolean): void {
  const magnitude = (value < 0n ? -value : value).toString(16)
  const hex = value === 0n ? '' : magnitude.length % 2 === 0 ? magnitude : `0${magnitude}`
  reserve(6 + hex.length / 2)
  buffer[end++] = BIGINT
  if (nested) putU32(1 + hex.length / 2)
  buffer[end++] = value < 0n ? 1 : 0
  end += buffer.write(hex, end, 'hex')
}

function putArray(items: readonly unknown[], depth: number): void {
  buffer[end++] = ARRAY
  putU32(items.length)
  for (let i = 0; i < items.length; i++) putValue(items[i], depth + 1)
}

function putObject(value: Record<string, unknown>, depth: number): void {
  const names = Object.keys(value)
    .filter((name) => value[name] !== undefined)
    .sort()
  // Ordered as they come back from the bytes: U+FFFD is not where the surrogate was.
  if (!names.every((name) => name.isWellFormed()))
    return putObject(Object.fromEntries(names.map((name) => [name.toWellFormed(), value[name]])), depth)
  buffer[end++] = OBJECT
  putU32(names.length)
  for (const name of names) {
    putString(name)
    putValue(value[name], depth + 1)
  }
}

function isPlainObject(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function describe(value: unknown): string {
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) || isPlainObject(value)
      ? `data nested more than ${MAX_DEPTH} deep`
      : `a ${value.constructor?.name ?? 'object'}`
  return typeof value === 'function' || typeof value === 'symbol' ? `a ${typeof value}` : String(value)
}

function refusal(value: unknown): JobFault {
  return new JobFault(
    `Cannot use ${describe(value)} as (part of) a key. Expected a string, a finite number, ` +
      'a boolean, a bigint, null, or plain arrays and objects of these: ' +
      'return such a value from keyBy, for example date.getTime() instead of a Date.',
  )
}
