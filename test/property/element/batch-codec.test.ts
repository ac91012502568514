import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBatch, encodeBatch } from '#runtime/element/batch-codec'

const value = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  key: fc.string().filter((name) => name !== '__proto__'),
})
const rows = fc.oneof(
  fc.array(value),
  fc.array(fc.string({ unit: 'grapheme' })),
  fc.array(fc.string({ unit: 'binary-ascii', maxLength: 40 })),
  fc.array(fc.integer()),
  fc.array(fc.double()),
  fc.array(fc.record({ id: fc.integer(), tags: fc.array(fc.string()), at: fc.date() })),
)

/** The sign of zero is not kept inside objects. */
const withoutNegativeZero = (v: unknown): unknown =>
  Object.is(v, -0)
    ? 0
    : Array.isArray(v)
      ? v.map(withoutNegativeZero)
      : v instanceof Map
        ? new Map([...v].map(([k, x]) => [withoutNegativeZero(k), withoutNegativeZero(x)]))
        : v instanceof Set
          ? new Set([...v].map(withoutNegativeZero))
          : v !== null && typeof v === 'object' && !ArrayBuffer.isView(v) && !(v instanceof Date)
            ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, withoutNegativeZero(x)]))
            : v

/** Texts with surrogates, whole and halved, short and long, between other bytes. */
const unit = fc.constantFrom('a', 'é', '\ud83d', '\ude00', '\ud83d\ude00', '\uffff')
const text = fc.oneof(fc.string({ unit }), fc.string({ unit, minLength: 60, maxLength: 70 }))
const textual = fc.oneof(text, fc.double({ noNaN: true }), fc.maxSafeInteger(), fc.bigInt(), fc.uint8Array())
const wellFormed = (v: unknown): unknown =>
  typeof v === 'string'
    ? v.toWellFormed()
    : Array.isArray(v)
      ? v.map(wellFormed)
      : v !== null && typeof v === 'object' && !ArrayBuffer.isView(v)
        ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k.toWellFormed(), wellFormed(x)]))
        : v

describe('batch codec', () => {
  test('lone surrogates become U+FFFD, and nothing else is touched', () => {
    const row = fc.oneof(textual, fc.array(textual), fc.dictionary(text, textual), fc.record({ a: textual }))
    fc.assert(
      fc.property(fc.array(row), (values) => {
        const { rows: decoded } = decodeBatch(encodeBatch(values, undefined, values.length))
        expect(withoutNegativeZero(decoded)).toEqual(withoutNegativeZero(values.map(wellFormed)))
      }),
      { numRuns: 1000 },
    )
  })

  test('decode(encode(batch)) is the batch', () => {
    fc.assert(
      fc.property(rows, fc.option(fc.float64Array({ noNaN: true })), (values, times) => {
        const timestamps =
          times === null ? undefined : Float64Array.from(values, (_, i) => times[i] ?? -Infinity)
        const decoded = decodeBatch(encodeBatch(values, timestamps, values.length))
        expect(decoded.timestamps).toEqual(timestamps)
        expect(withoutNegativeZero(decoded.rows)).toEqual(withoutNegativeZero(values))
      }),
      { numRuns: 300 },
    )
  })
})
