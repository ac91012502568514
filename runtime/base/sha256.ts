import { createHash } from 'node:crypto'

/** One update takes less than 2 GiB. */
const UPDATE_BYTES = 1024 ** 3

/** In hexadecimal, of bytes of any length. @param updateBytes hashed at a time; default 1 GiB */
export function sha256Of(bytes: Uint8Array, updateBytes = UPDATE_BYTES): string {
  const hash = createHash('sha256')
  for (let at = 0; at < bytes.byteLength; at += updateBytes) hash.update(bytes.subarray(at, at + updateBytes))
  return hash.digest('hex')
}
