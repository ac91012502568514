import { expect, test } from 'vitest'
import { decodeParcel, encodeParcel } from '#runtime/task-manager/parcel-codec'

test('a parcel of frames and credits survives encoding', () => {
  const parcel = {
    frames: [new Uint8Array([1, 2]), new Uint8Array(0), new Uint8Array([3])],
    credits: [4, 1, 5, 7],
  }
  const bytes = new Uint8Array(Buffer.concat(encodeParcel(3, parcel)))
  const decoded = decodeParcel(bytes)
  expect(decoded.slot).toBe(3)
  expect(decoded.parcel.credits).toEqual([4, 1, 5, 7])
  expect(decoded.parcel.frames.map((f) => [...f])).toEqual([[1, 2], [], [3]])
})

test('a truncated parcel is refused, never read past its end', () => {
  const bytes = Buffer.concat(encodeParcel(0, { frames: [new Uint8Array([1, 2, 3])], credits: [9, 9] }))
  for (let length = 1; length < bytes.length; length++) {
    const cut = new Uint8Array(bytes.subarray(0, length))
    expect([0, undefined]).toContain(tryDecode(cut))
  }
})

function tryDecode(bytes: Uint8Array<ArrayBuffer>): number | undefined {
  try {
    return decodeParcel(bytes).parcel.frames.length
  } catch (error) {
    expect((error as Error).message).toMatch(/cannot be decoded/)
    return undefined
  }
}
