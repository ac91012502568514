import { expect, test } from 'vitest'
import { refuseUnknownOptions } from '#runtime/base/known-options'
import { files, generator } from '#runtime/graph/api'

test('a misspelt option is refused with the ones there are', () => {
  expect(() =>
    refuseUnknownOptions('generator', { rte: 1, make: () => 0 }, ['count', 'rate', 'make']),
  ).toThrow('generator has no option "rte". Expected: count, rate, make.')
  expect(() => generator({ rte: 1000, make: (n: number) => n } as never)).toThrow(
    'generator has no option "rte"',
  )
  expect(() => files.lines('in', { wtach: '1s' } as never)).toThrow('has no option "wtach"')
})

test('known options pass', () => {
  expect(() => generator({ count: 1, make: (n: number) => n })).not.toThrow()
})
