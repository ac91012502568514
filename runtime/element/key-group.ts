import { WeirError } from '#runtime/base/errors'
import { encodeKey, NUMBER_TAG, STRING_TAG } from './key-encoding.ts'
import { murmur3, murmurBlock, murmurEnd, murmurTail } from './murmur3.ts'

/**
 * Key -> key group -> subtask. The key group is murmur3_32(canonical bytes, seed 0) mod
 * maxParallelism; subtask i of p owns a contiguous range of groups. PERSISTED: maxParallelism is
 * fixed once state exists, the hash and the encoding for ever within a format version.
 */

/** As in Flink; more groups would only make indexes of state files longer. */
const MAX_MAX_PARALLELISM = 32_768

/** Key groups [from, to). */
export interface KeyGroupRange {
  readonly from: number
  readonly to: number
}

/** Longer strings hash faster natively. */
const FAST_STRING_LENGTH = 48
const scratch = new Float64Array(1)
const scratchWords = new Uint32Array(scratch.buffer)
const LOW = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : 1
const HIGH = 1 - LOW

/**
 * The hash of a key, unsigned 32 bits. Allocates nothing for numbers and short ASCII strings.
 * @throws {JobFault} when it cannot be a key.
 */
export function hashKey(key: unknown): number {
  if (typeof key === 'string' && key.length <= FAST_STRING_LENGTH) return hashShortString(key)
  if (typeof key === 'number' && Number.isFinite(key)) return hashNumber(key)
  return hashKeyBytes(key)
}

/** The definition that the fast paths must equal. */
export function hashKeyBytes(key: unknown): number {
  return murmur3(encodeKey(key))
}

function hashNumber(key: number): number {
  scratch[0] = key === 0 ? 0 : key
  const low = scratchWords[LOW]!
  const high = scratchWords[HIGH]!
  const hash = murmurBlock(murmurBlock(0, NUMBER_TAG | (low << 8)), (low >>> 24) | (high << 8))
  return murmurEnd(murmurTail(hash, high >>> 24), 9)
}

function hashShortString(key: string): number {
  let hash = 0
  let word = STRING_TAG
  let shift = 8
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i)
    if (unit > 0x7f) return hashKeyBytes(key)
    word |= unit << shift
    shift += 8
    if (shift === 32) {
      hash = murmurBlock(hash, word)
      word = 0
      shift = 0
    }
  }
  return murmurEnd(murmurTail(hash, word), key.length + 1)
}

/** 0 <= result < maxParallelism. */
export function keyGroupOf(key: unknown, maxParallelism: number): number {
  return hashKey(key) % maxParallelism
}

/**
 * The groups of subtask 0 <= `subtask` < `parallelism`; the ranges of all subtasks are disjoint,
 * ascending, and together [0, maxParallelism).
 */
export function keyGroupRange(subtask: number, parallelism: number, maxParallelism: number): KeyGroupRange {
  checkParallelism(parallelism, maxParallelism)
  if (!Number.isInteger(subtask) || subtask < 0 || subtask >= parallelism)
    throw new WeirError(
      'BUG',
      `Subtask ${subtask} does not exist: expected an integer in [0, ${parallelism}).`,
    )
  return {
    from: Math.ceil((subtask * maxParallelism) / parallelism),
    to: Math.ceil(((subtask + 1) * maxParallelism) / parallelism),
  }
}

/** The subtask whose keyGroupRange holds `keyGroup`. */
export function subtaskOfKeyGroup(keyGroup: number, parallelism: number, maxParallelism: number): number {
  return Math.floor((keyGroup * parallelism) / maxParallelism)
}

function checkParallelism(parallelism: number, maxParallelism: number): void {
  const isCount = (n: number) => Number.isInteger(n) && n >= 1
  if (!isCount(maxParallelism) || maxParallelism > MAX_MAX_PARALLELISM)
    throw new WeirError(
      'CFG_INVALID',
      `maxParallelism is ${maxParallelism}; expected an integer in [1, ${MAX_MAX_PARALLELISM}].`,
    )
  if (!isCount(parallelism) || parallelism > maxParallelism)
    throw new WeirError(
      'CFG_INVALID',
      `Parallelism ${parallelism} does not fit maxParallelism ${maxParallelism}: ` +
        `expected an integer in [1, ${maxParallelism}]. ` +
        'maxParallelism cannot change once the job has state; lower the parallelism.',
    )
}
