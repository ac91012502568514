import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBatch, encodeBatch } from '#runtime/element/batch-codec'
import { canonicalKey, normalKey } from '#runtime/element/key-encoding'
import { hashKey, hashKeyBytes, keyGroupRange, subtaskOfKeyGroup } from '#runtime/element/key-group'

const scalar = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary-ascii', maxLength: 60 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.boolean(),
  fc.bigInt(),
  fc.constant(null),
)

describe('key groups', () => {
  test('every group is owned exactly once, by the subtask that records of it are sent to', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 2048 })
          .chain((max) => fc.tuple(fc.integer({ min: 1, max }), fc.constant(max))),
        ([parallelism, max]) => {
          let next = 0
          for (let subtask = 0; subtask < parallelism; subtask++) {
            const { from, to } = keyGroupRange(subtask, parallelism, max)
            if (from !== next || to <= from)
              throw new Error(`subtask ${subtask} owns [${from}, ${to}), expected to start at ${next}`)
            for (let g = from; g < to; g++)
              if (subtaskOfKeyGroup(g, parallelism, max) !== subtask)
                throw new Error(`group ${g} is sent elsewhere`)
            next = to
          }
          expect(next).toBe(max)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('the fast paths hash as the bytes do', () => {
    fc.assert(
      fc.property(scalar, (key) => hashKey(key) === hashKeyBytes(key)),
      { numRuns: 1000 },
    )
  })

  test('keys of equal value are one key whatever the order of their members', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.oneof(scalar, fc.array(scalar))), (key) => {
        const reversed = Object.fromEntries(Object.entries(key).reverse())
        expect(hashKey(reversed)).toBe(hashKey(key))
        expect(canonicalKey(reversed)).toBe(canonicalKey(key))
      }),
    )
  })

  test('a key and what comes back of it from bytes are one key, equal to its normal key', () => {
    const text = fc.string({ unit: fc.nat({ max: 0xffff }).map((unit) => String.fromCharCode(unit)) })
    const key = fc.oneof(text, fc.array(text), fc.dictionary(text, text))
    fc.assert(
      fc.property(key, (sent) => {
        const [received] = decodeBatch(encodeBatch([sent], undefined, 1)).rows
        expect(normalKey(sent)).toEqual(received)
        expect(hashKey(sent)).toBe(hashKey(received))
        expect(canonicalKey([sent])).toBe(canonicalKey([received]))
      }),
    )
  })

  test('different scalars are different keys', () => {
    fc.assert(
      fc.property(scalar, scalar, (a, b) => {
        expect(canonicalKey([a]) === canonicalKey([b])).toBe(Object.is(a, b) || a === b)
      }),
    )
  })
})
