import { describe, expect, test } from 'vitest'
import { encodeListSection } from '#runtime/state/list-state'
import type { StateFileReader, StateSection } from '#runtime/state/keyed-state'
import { encodeStateFile, openStateFile } from '#runtime/state/snapshot-format'

const block = (keyGroup: number, bytes: Uint8Array, more: Partial<StateSection> = {}): StateSection => ({
  uid: 'count',
  table: 'running',
  keyGroup,
  kind: 'entries',
  entryCount: 3,
  bytes,
  ...more,
})
const sections: StateSection[] = [
  block(0, new Uint8Array(0), { kind: 'drop', namespace: -5, entryCount: 0 }),
  block(0, Buffer.from('group 0')),
  block(1, Buffer.from('x'.repeat(5000)), { namespace: 1.5 }),
  block(2, Buffer.from('group 2')),
  encodeListSection('source', 'splits', 'split', [{ file: 'a', at: 7 }]),
  block(4, Buffer.from('group 4'), { uid: 'other', table: 'Tafel ä' }),
]
const everything = (file: StateFileReader) =>
  file.index.map((entry, i) => ({ ...entry, bytes: Buffer.from(file.bytes(i)) }))
const expected = sections.map((s) => ({ ...s, bytes: Buffer.from(s.bytes) }))
const corrupt = expect.objectContaining({
  code: 'STO_CORRUPT',
  message: expect.stringContaining('Cannot read a state file of') as string,
})

describe('encodeStateFile()', () => {
  test.each([
    ['full', false],
    ['delta', true],
  ] as const)('%s, compressed: %s, comes back as it was', async (mode, compress) => {
    const file = openStateFile(await encodeStateFile({ mode, sections }, { compress }))
    expect(file.mode).toBe(mode)
    expect(everything(file)).toEqual(expected)
  })

  test('compresses large blocks only, and only when that makes them smaller', async () => {
    const small = await encodeStateFile({ mode: 'full', sections }, { compress: true })
    expect(small.length).toBeLessThan(1000)
    const noise = block(0, crypto.getRandomValues(new Uint8Array(2000)))
    const stored = await encodeStateFile({ mode: 'full', sections: [noise] }, { compress: true })
    expect(stored.length).toBe(
      encodeStateFile({ mode: 'full', sections: [noise] }, { compress: false }).length,
    )
  })

  test('of nothing is a file', () => {
    expect(
      openStateFile(encodeStateFile({ mode: 'delta', sections: [] }, { compress: false })).index,
    ).toEqual([])
  })
})

describe('openStateFile()', () => {
  test.each([false, true])('notices any flipped bit (compressed: %s)', async (compress) => {
    const bytes = await encodeStateFile(
      { mode: 'full', sections: sections.with(2, block(1, Buffer.from('x'.repeat(600)))) },
      { compress },
    )
    for (let i = 0; i < bytes.length; i++) {
      const damaged = Uint8Array.from(bytes)
      damaged[i]! ^= 1 << (i % 8)
      expect(() => everything(openStateFile(damaged)), `byte ${i}`).toThrow(corrupt)
    }
  })

  test('notices any truncation', () => {
    const bytes = encodeStateFile({ mode: 'full', sections }, { compress: false })
    for (
      let length = 0;
      length < bytes.length;
      length += length < 200 || length > bytes.length - 200 ? 1 : 97
    )
      expect(() => openStateFile(bytes.subarray(0, length)), `${length} bytes`).toThrow(corrupt)
  })

  test('names the block that does not match', () => {
    const bytes = encodeStateFile({ mode: 'full', sections }, { compress: false })
    bytes[10]! ^= 1
    expect(() => openStateFile(bytes).bytes(1)).toThrow(
      'the checksum of block 1 (operator count, table running, key group 0) does not match',
    )
  })
})
