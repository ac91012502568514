import { describe, expect, test } from 'vitest'
import { fields, table } from '#cli/table'

describe('table()', () => {
  test('aligns columns and prints absent cells as a dash', () => {
    expect(
      table(
        ['NAME', 'N'],
        [
          ['a', 1],
          ['longer', undefined],
        ],
      ),
    ).toBe('NAME    N\na       1\nlonger  -')
  })
  test('prints the header alone without rows', () => {
    expect(table(['A', 'B'], [])).toBe('A  B')
  })
})

describe('fields()', () => {
  test('puts values in one column and leaves out absent ones', () => {
    expect(
      fields([
        ['a', 1],
        ['long label', 'x'],
        ['none', undefined],
      ]),
    ).toBe('a:          1\nlong label: x')
  })
})
