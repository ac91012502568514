import { describe, expect, test } from 'vitest'
import type { Barrier } from '#runtime/contract/rpc'
import { decodeElement, encodeElement } from '#runtime/element/frame'
import type { StreamElement } from '#runtime/element/stream-element'

const barrier: Barrier = {
  epoch: 3,
  id: 42,
  base: 41,
  kind: 'checkpoint',
  directory: 'ns/job/uid/chk/42-3',
  stop: false,
  drain: false,
}
const elements: StreamElement[] = [
  { kind: 'batch', rows: [{ a: 1 }, 'b'], timestamps: new Float64Array([1, -Infinity]), count: 2 },
  { kind: 'batch', rows: ['x', 'y'], timestamps: undefined, count: 2 },
  { kind: 'watermark', watermark: 1_700_000_000_000 },
  { kind: 'watermark', watermark: Infinity },
  { kind: 'watermark', watermark: -Infinity },
  { kind: 'barrier', barrier },
  { kind: 'idle' },
  { kind: 'end' },
]

describe('encodeElement()', () => {
  test.each(elements.map((element) => [element.kind, element] as const))(
    '%s comes back as it was, with its channel',
    (_, element) => {
      const frame = encodeElement(0xfedcba98, element)
      expect(decodeElement(frame)).toEqual({ channel: 0xfedcba98, element })
    },
  )
})

describe('decodeElement()', () => {
  test.each([
    ['a header cut off', [1, 0, 0]],
    ['an unknown kind', [1, 0, 0, 0, 9]],
    ['half a watermark', [1, 0, 0, 0, 1, 0, 0]],
    ['a barrier that is not JSON', [1, 0, 0, 0, 2, 65]],
  ])('refuses %s', (_, bytes) => {
    expect(() => decodeElement(Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ code: 'NET_REFUSED' }),
    )
  })
})
