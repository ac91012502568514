import { WeirError } from '#runtime/base/errors'
import type { ExchangeParcel } from '#runtime/task/slot-messages'

/**
 * A parcel between TaskManagers, the payload of one data frame. Little-endian, wire version 1.
 *
 * | offset | size | meaning |
 * | --- | --- | --- |
 * | 0 | 4 | slot of the receiver |
 * | 4 | 4 | number of u32 in the credit list, c |
 * | 8 | 4c | credits: channel, count, channel, count ... |
 * | 8+4c | ... | frames (element/frame.ts), each behind its u32 length, to the end |
 */
export function encodeParcel(slot: number, parcel: ExchangeParcel): Uint8Array[] {
  const head = new DataView(new ArrayBuffer(8 + 4 * parcel.credits.length))
  head.setUint32(0, slot, true)
  head.setUint32(4, parcel.credits.length, true)
  for (const [i, n] of parcel.credits.entries()) head.setUint32(8 + 4 * i, n, true)
  const parts: Uint8Array[] = [new Uint8Array(head.buffer)]
  for (const frame of parcel.frames) {
    const length = new Uint8Array(4)
    new DataView(length.buffer).setUint32(0, frame.byteLength, true)
    parts.push(length, frame)
  }
  return parts
}

/**
 * The frames are views into `bytes`. @throws {WeirError} NET_REFUSED when the lengths do not add
 * up.
 */
export function decodeParcel(bytes: Uint8Array<ArrayBuffer>): { slot: number; parcel: ExchangeParcel } {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const slot = view.getUint32(0, true)
    const count = view.getUint32(4, true)
    const credits: number[] = []
    let at = 8
    for (let i = 0; i < count; i++, at += 4) credits.push(view.getUint32(at, true))
    const frames: Uint8Array[] = []
    while (at < bytes.byteLength) {
      const length = view.getUint32(at, true)
      at += 4
      if (at + length > bytes.byteLength)
        throw new RangeError(`frame of ${length} bytes at ${at} of ${bytes.byteLength}`)
      frames.push(bytes.subarray(at, at + length))
      at += length
    }
    return { slot, parcel: { frames, credits } }
  } catch (cause) {
    const text = `A data frame of ${bytes.byteLength} bytes cannot be decoded`
    throw new WeirError('NET_REFUSED', `${text}: the peer is not a Weir TaskManager of this version`, {
      cause,
    })
  }
}
