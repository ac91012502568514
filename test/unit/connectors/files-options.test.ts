import { expect, test } from 'vitest'
import { files } from '#runtime/index'

test.each([
  [{ splitBytes: 1000 }, 'splitBytes is 1000; expected a whole number of at least 65536'],
  [{ splitBytes: 65_536.5 }, 'splitBytes is 65536.5; expected a whole number'],
  [{ splitBytes: '64MiB' }, 'splitBytes is 64MiB; expected a whole number'],
  [{ splitBytes: 2 ** 20, timeOrdered: true }, 'splitBytes and timeOrdered exclude each other'],
])('a source that cannot cut its files as asked is refused: %j', (options, message) => {
  expect(() => files.lines('in/', options as never)).toThrow(message)
})
