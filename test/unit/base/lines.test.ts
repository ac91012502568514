import { expect, test } from 'vitest'
import { linesOf } from '#runtime/base/lines'

async function* chunks(...texts: readonly string[]): AsyncGenerator<string> {
  yield* texts
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = []
  for await (const line of lines) found.push(line)
  return found
}

test('gives lines without their ends, however they are cut, and no blank ones', async () => {
  expect(await collect(linesOf(chunks('a\nb', 'c\n\n  \nd', '\ne')))).toEqual(['a', 'bc', 'd', 'e'])
})

test('every piece is a sign of life, also one without a line', async () => {
  let seen = 0
  await collect(linesOf(chunks('a', 'b\n', '\n'), () => seen++))
  expect(seen).toBe(3)
})

test('throws what the stream throws, after the lines before', async () => {
  async function* broken(): AsyncGenerator<string> {
    yield 'a\nb'
    throw new Error('the connection broke')
  }
  const lines = linesOf(broken())
  expect((await lines.next()).value).toBe('a')
  await expect(lines.next()).rejects.toThrow('the connection broke')
})
