/**
 * MurmurHash3 x86_32 (Austin Appleby, public domain): the hash behind key groups. Part of the
 * persisted format.
 */

const C1 = 0xcc9e2d51
const C2 = 0x1b873593

/** Mixes one block of four bytes (little endian) into the hash. */
export function murmurBlock(hash: number, block: number): number {
  let k = Math.imul(block, C1)
  k = (k << 15) | (k >>> 17)
  let h = hash ^ Math.imul(k, C2)
  h = (h << 13) | (h >>> 19)
  return (Math.imul(h, 5) + 0xe6546b64) | 0
}

/** Mixes the last one to three bytes (little endian); 0 bytes leave the hash as it is. */
export function murmurTail(hash: number, tail: number): number {
  let k = Math.imul(tail, C1)
  k = (k << 15) | (k >>> 17)
  return hash ^ Math.imul(k, C2)
}

/** Ends the hash over `length` bytes. The result is an unsigned 32-bit integer. */
export function murmurEnd(hash: number, length: number): number {
  let h = hash ^ length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Hash of `bytes[0, length)`, unsigned. */
export function murmur3(bytes: Uint8Array, length = bytes.length, seed = 0): number {
  let hash = seed | 0
  const blocksEnd = length & ~3
  for (let i = 0; i < blocksEnd; i += 4)
    hash = murmurBlock(hash, bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24))
  let tail = 0
  for (let i = length - 1; i >= blocksEnd; i--) tail = (tail << 8) | bytes[i]!
  return murmurEnd(murmurTail(hash, tail), length)
}
