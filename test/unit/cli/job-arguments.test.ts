import { describe, expect, test } from 'vitest'
import { parseJobArguments } from '#cli/job-arguments'

describe('parseJobArguments()', () => {
  test('takes text as text and JSON as JSON', () => {
    expect(
      parseJobArguments(['input=data/', 'n=3', 'on=true', 'tags=["a"]', 'year="2026"', 'empty=']),
    ).toEqual({
      input: 'data/',
      n: 3,
      on: true,
      tags: ['a'],
      year: '2026',
      empty: '',
    })
  })
  test('keeps further equals signs in the value', () => {
    expect(parseJobArguments(['q=a=b'])).toEqual({ q: 'a=b' })
  })
  test('dots set members, and later pairs win over earlier ones and over the manifest', () => {
    expect(parseJobArguments(['a.b=1', 'a.c=2', 'a.b=3'], { a: { d: 4 }, e: 5 })).toEqual({
      a: { b: 3, c: 2, d: 4 },
      e: 5,
    })
  })
  test('does not change the arguments it is given', () => {
    const base = { a: { b: 1 } }
    parseJobArguments(['a.b=2'], base)
    expect(base).toEqual({ a: { b: 1 } })
  })
  test.each(['input', '=x', 'a..b=1', '__proto__.x=1'])('refuses %s and says what is expected', (pair) => {
    expect(() => parseJobArguments([pair])).toThrow('Expected key=value')
  })
})
