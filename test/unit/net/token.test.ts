import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { splitAddress } from '#runtime/net/address'
import { readToken, tokenMatches } from '#runtime/net/token'

describe('readToken()', () => {
  test('gives the text of the file without white space around it', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'weir-token-')), 'token')
    await writeFile(file, ' 0123456789abcdef\n')
    expect(await readToken(file)).toBe('0123456789abcdef')
  })

  test('refuses a token that is too short, and a file that is not there, naming the file', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'weir-token-')), 'token')
    await expect(readToken(file)).rejects.toThrow(`Cannot read the token file ${file}`)
    await writeFile(file, 'short')
    await expect(readToken(file)).rejects.toThrow(`${file} holds 5 characters, expected at least 16`)
  })
})

test.each([
  ['secret', 'secret', true],
  ['secret', 'secreT', false],
  ['secret', '', false],
  ['', 'secret', false],
])('tokenMatches(%j, %j) is %s', (expected, given, matches) => {
  expect(tokenMatches(expected, given)).toBe(matches)
})

test.each([
  ['10.0.0.1:6123', ['10.0.0.1', 6123]],
  ['[::1]:6123', ['::1', 6123]],
  ['job.default.svc:80', ['job.default.svc', 80]],
])('splitAddress(%j)', (address, parts) => {
  expect(splitAddress(address)).toEqual(parts)
})

test.each(['', 'host', 'host:', ':80', 'host:port', '[::1]'])('splitAddress(%j) is refused', (address) => {
  expect(() => splitAddress(address)).toThrow(/Expected host:port/)
})
