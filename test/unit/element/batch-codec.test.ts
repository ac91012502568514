import { describe, expect, test } from 'vitest'
import {
  CODEC_F64,
  CODEC_I32,
  CODEC_MSGPACK,
  CODEC_STRINGS,
  decodeBatch,
  encodeBatch,
} from '#runtime/element/batch-codec'

const roundTrip = (rows: readonly unknown[]) => decodeBatch(encodeBatch(rows, undefined, rows.length)).rows
const codecOf = (rows: readonly unknown[]) => encodeBatch(rows, undefined, rows.length)[0]

describe('encodeBatch()', () => {
  test.each([
    ['nothing', [], CODEC_MSGPACK],
    ['ASCII strings', ['a', '', 'a longer string than is copied', 'x'.repeat(300)], CODEC_STRINGS],
    ['other strings', ['ä', '', '日本', '👩‍👩‍👧', 'y'.repeat(70_000)], CODEC_STRINGS],
    ['32-bit integers', [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)], CODEC_I32],
    ['doubles', [0.5, Number.NaN, Infinity, -Infinity, -0, 2 ** 31, 2 ** 53, 5e-324], CODEC_F64],
    ['strings and numbers', ['a', 1], CODEC_MSGPACK],
    [
      'everything else',
      [
        undefined,
        null,
        true,
        1n,
        -(2n ** 63n),
        2n ** 64n,
        2n ** 700n,
        [1, [2]],
        {},
        { a: undefined, b: { c: [{ d: 1 }] } },
      ],
      CODEC_MSGPACK,
    ],
    [
      'numbers in objects',
      [{ v: Number.NaN }, { v: Infinity }, { v: -Infinity }, { v: 2 ** 53 }, { v: -1.5 }],
      CODEC_MSGPACK,
    ],
    [
      'Date, Map, Set',
      [new Date(0), new Date(-5), new Map<unknown, unknown>([[1, { a: 1 }]]), new Set([1, 'a'])],
      CODEC_MSGPACK,
    ],
    [
      'binary data',
      [new Uint8Array([1, 2]), new Float64Array([1.5, -0]), new BigInt64Array([-1n]), new Int16Array([])],
      CODEC_MSGPACK,
    ],
    [
      'more shapes than msgpackr shares',
      Array.from({ length: 200 }, (_, i) => ({ [`k${i}`]: i, z: { [`n${i}`]: i } })),
      CODEC_MSGPACK,
    ],
  ] as const)('keeps %s', (_, rows, codec) => {
    expect(roundTrip(rows)).toEqual(rows)
    expect(codecOf(rows)).toBe(codec)
  })

  test('does not join surrogate halves of neighbouring rows', () => {
    expect(roundTrip(['a\ud83d', '\ude00b', 'c'])).toEqual(['a\ufffd', '\ufffdb', 'c'])
  })

  test('a lone surrogate comes back as U+FFFD, however long its string and wherever it stands', () => {
    const long = 'x'.repeat(100)
    const rows = (half: string) => [
      { text: `hi ${half}`, [half]: [`${long}${half}`, `${half}é`] },
      new Map([[half, new Set([half])]]),
      [half, '\ud83d\ude00', long, new Date(1), /\d/, null, 1.5],
    ]
    for (const half of ['\ud83d', '\ude00']) expect(roundTrip(rows(half))).toEqual(rows('\ufffd'))
  })

  test('keeps numbers and bytes that look like a surrogate', () => {
    const bytes = Buffer.from('eda0bdeda0bdeda0', 'hex')
    const rows = [{ n: bytes.readDoubleBE() }, { n: bytes.readUInt32BE() }, { n: new Uint8Array(bytes) }]
    expect(roundTrip(rows)).toEqual(rows)
  })

  test('turns class instances into plain objects', () => {
    class Point {
      x = 1
    }
    const [row] = roundTrip([new Point()])
    expect(row).toEqual({ x: 1 })
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype)
  })

  test('is self-contained: batches decode in any order', () => {
    const a = encodeBatch([{ a: 1 }, { a: 2 }], undefined, 2)
    const b = encodeBatch([{ a: 3 }, { b: 4 }], undefined, 2)
    expect(decodeBatch(b).rows).toEqual([{ a: 3 }, { b: 4 }])
    expect(decodeBatch(a).rows).toEqual([{ a: 1 }, { a: 2 }])
  })

  test('takes the first n rows and timestamps and leaves the reserve to the caller', () => {
    const bytes = encodeBatch(['a', 'b', { c: 1 }], new Float64Array([1, -Infinity, 3]), 2, 5)
    expect(decodeBatch(bytes.subarray(5))).toEqual({
      rows: ['a', 'b'],
      timestamps: new Float64Array([1, -Infinity]),
    })
  })

  test('names what cannot be encoded and encodes the next batch as if nothing had happened', () => {
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    expect(() => encodeBatch([cycle], undefined, 1)).toThrow('itself at .self, a circle')
    expect(() => encodeBatch([{ s: Symbol('s') }], undefined, 1)).toThrow(
      'Cannot store or send a symbol at .s',
    )
    expect(roundTrip([{ a: 1 }])).toEqual([{ a: 1 }])
  })
})

describe('decodeBatch()', () => {
  test.each([
    ['too short', []],
    ['an unknown codec', [9, 0, 0, 0, 0, 0, 0, 0]],
    ['unknown flags', [0, 8, 0, 0, 0, 0, 0, 0]],
    ['missing timestamps', [0, 1, 0, 0, 2, 0, 0, 0]],
    ['missing numbers', [2, 0, 0, 0, 2, 0, 0, 0, 1]],
    ['missing strings', [1, 0, 0, 0, 2, 0, 0, 0, 0x81, 1, 1, 65]],
    ['left-over text', [1, 0, 0, 0, 1, 0, 0, 0, 0x81, 1, 65, 65]],
    ['another row count', Array.from(encodeBatch([null, null], undefined, 2).with(4, 3))],
  ])('refuses bytes with %s', (_, bytes) => {
    expect(() => decodeBatch(Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ code: 'STO_CORRUPT' }),
    )
  })

  test('gives rows that share no memory with the bytes', () => {
    const bytes = encodeBatch([Buffer.from('ab'), 'text'], undefined, 2)
    const { rows } = decodeBatch(bytes)
    bytes.fill(0)
    expect(rows).toEqual([Buffer.from('ab'), 'text'])
  })
})
