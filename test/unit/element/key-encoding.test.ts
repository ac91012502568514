import { describe, expect, test } from 'vitest'
import { canonicalKey, encodeKey, normalKey } from '#runtime/element/key-encoding'
import { hashKey, keyGroupOf } from '#runtime/element/key-group'
import { murmur3 } from '#runtime/element/murmur3'

const hex = (key: unknown) => Buffer.from(encodeKey(key)).toString('hex')

describe('murmur3()', () => {
  test.each([
    ['', 0, 0],
    ['', 1, 0x514e28b7],
    ['hello', 0, 0x248bfa47],
    ['hello, world', 0, 0x149bbb7f],
    ['The quick brown fox jumps over the lazy dog', 0x9747b28c, 0x2fa826cd],
  ])('hashes %j with seed %i as the reference implementation', (text, seed, expected) => {
    expect(murmur3(Buffer.from(text), undefined, seed)).toBe(expected)
  })
})

// PERSISTED FORMAT: a change of any row loses the state of every job. Never edit, only add.
const VECTORS: readonly (readonly [unknown, string, number])[] = [
  ['', '04', 962700458],
  ['a', '0461', 539701474],
  ['word', '04776f7264', 3885184926],
  ['häuser', '0468c3a475736572', 389504229],
  ['x'.repeat(60), `04${'78'.repeat(60)}`, 1415124562],
  [0, '030000000000000000', 705384482],
  [-0, '030000000000000000', 705384482],
  [1, '03000000000000f03f', 3970907892],
  [-1, '03000000000000f0bf', 573865212],
  [0.5, '03000000000000e03f', 2203016550],
  [2 ** 53, '030000000000004043', 4139695317],
  [1e300, '039c7500883ce4377e', 1655251125],
  [true, '02', 1814548639],
  [false, '01', 3831157163],
  [null, '00', 1364076727],
  [0n, '0500', 1253686505],
  [255n, '0500ff', 844903088],
  [-256n, '05010100', 2348056652],
  [['a', 1], '060200000004010000006103000000000000f03f', 2694961745],
  [{ b: 1, a: 'x' }, '07020000000100000061040100000078010000006203000000000000f03f', 1810334822],
  [[undefined, null], '06020000000800', 503215940],
  [{ a: { b: [] } }, '07010000000100000061070100000001000000620600000000', 3098042520],
]

describe('the persisted key encoding', () => {
  test.each(VECTORS.map(([key, bytes, hash]) => ({ key, bytes, hash })))(
    '$bytes never changes',
    ({ key, bytes, hash }) => {
      expect(hex(key)).toBe(bytes)
      expect(hashKey(key)).toBe(hash)
      expect(keyGroupOf(key, 128)).toBe(hash % 128)
    },
  )

  test('takes objects as one key whatever their order of members, undefined members left out', () => {
    expect(hex({ a: 1, b: [2] })).toBe(hex({ b: [2], c: undefined, a: 1 }))
    expect(canonicalKey({ a: 1, b: 2 })).toBe(canonicalKey({ b: 2, a: 1 }))
  })

  test.each([
    ['hi \ud83d', 'hi \ufffd'],
    [{ at: ['\udc00'] }, { at: ['\ufffd'] }],
    // U+FFFD stands behind U+E000, the surrogate before it.
    [
      { '\ud800': 1, '\ue000': 2 },
      { '\ue000': 2, '\ufffd': 1 },
    ],
  ])('takes a lone surrogate for U+FFFD: %j', (key, normal) => {
    expect(normalKey(key)).toEqual(normal)
    expect(hex(key)).toBe(hex(normal))
  })

  test('leaves keys without lone surrogates as they are', () => {
    for (const key of ['hi \ud83d\ude00', 1, null, true, 1n]) expect(normalKey(key)).toBe(key)
    const key = { at: [1, 'hi \ud83d\ude00', { deep: null }] }
    expect(normalKey(key)).toBe(key)
  })

  test('keeps neighbours in arrays apart', () => {
    expect(hex(['a', 'bc'])).not.toBe(hex(['ab', 'c']))
    expect(hex([1n, 2n])).not.toBe(hex([0x102n]))
    expect(hex([[], []])).not.toBe(hex([[[]]]))
  })

  test.each([
    [undefined, 'undefined'],
    [Number.NaN, 'NaN'],
    [[Infinity], 'Infinity'],
    [new Date(0), 'a Date'],
    [new Map(), 'a Map'],
    [new Uint8Array(2), 'a Uint8Array'],
    [() => 1, 'a function'],
    [Symbol('s'), 'a symbol'],
  ])('refuses %s with what to return instead', (key, named) => {
    expect(() => hashKey(key)).toThrow(`Cannot use ${named} as (part of) a key. Expected a string`)
  })

  test('refuses keys that contain themselves', () => {
    const key: unknown[] = []
    key.push(key)
    expect(() => hashKey(key)).toThrow('nested more than 32 deep')
  })
})
