import { describe, expect, test } from 'vitest'
import { encodeListSection } from '#runtime/state/list-state'
import type { StateFileReader, StateSection } from '#runtime/state/keyed-state'
import { encodeStateFile, openStateFile, openStateFileLazily } from '#runtime/state/snapshot-format'

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

describe('openStateFileLazily()', () => {
  const openCounted = async (bytes: Uint8Array) => {
    const reads: string[] = []
    const file = await openStateFileLazily(bytes.length, (start, end) => {
      reads.push(`${start}-${end}`)
      return Promise.resolve(bytes.subarray(start, end))
    })
    return { file, reads }
  }

  test('reads only the ranges of the wanted key groups, with lists and drops', async () => {
    const { file, reads } = await openCounted(
      encodeStateFile({ mode: 'full', sections }, { compress: false }),
    )
    const part = await file.load(2, 4)
    expect(everything(part)).toEqual([expected[0], expected[3], expected[4]])
    expect(file.ranges(2, 4)).toHaveLength(2)
    expect(reads).toHaveLength(3)
    expect(everything(await file.load(0, 128))).toEqual(expected)
    expect(file.ranges(0, 128)).toHaveLength(1)
  })

  test('reads an index larger than its first guess', async () => {
    const many = Array.from({ length: 3000 }, (_, i) => block(i, Buffer.from(`group ${i}`)))
    const { file, reads } = await openCounted(
      encodeStateFile({ mode: 'full', sections: many }, { compress: false }),
    )
    expect(file.index).toHaveLength(3000)
    expect(reads).toHaveLength(2)
    expect(Buffer.from((await file.load(2999, 3000)).bytes(0)).toString()).toBe('group 2999')
  })

  test('notices a short read and a damaged block', async () => {
    const bytes = encodeStateFile({ mode: 'full', sections }, { compress: false })
    await expect(openStateFileLazily(bytes.length + 1, () => Promise.resolve(bytes))).rejects.toThrow(corrupt)
    const { file } = await openCounted(Uint8Array.from(bytes).fill(0, 8, 12))
    await expect(file.load(0, 1).then((part) => part.bytes(1))).rejects.toThrow(corrupt)
  })
})
