import { expect, test } from 'vitest'
import { isAsBuilt } from '#operator/resources/as-built'

const built = { a: 1, list: [{ port: 1 }, { port: 2 }], left: undefined }

test.each([
  ['the same', { a: 1, list: [{ port: 1 }, { port: 2 }] }, true],
  ['with what the server added', { a: 1, b: 2, list: [{ port: 1, protocol: 'TCP' }, { port: 2 }] }, true],
  ['another value', { a: 2, list: [{ port: 1 }, { port: 2 }] }, false],
  ['another item', { a: 1, list: [{ port: 1 }, { port: 3 }] }, false],
  ['one item more', { a: 1, list: [{ port: 1 }, { port: 2 }, { port: 3 }] }, false],
  ['nothing', undefined, false],
])('isAsBuilt(): %s', (_what, found, expected) => expect(isAsBuilt(found, built)).toBe(expected))
