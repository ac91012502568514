import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FileCursor, type FilePosition } from '#runtime/connectors/files/file-cursor'
import { partsOf, type FileSplit, type FileTree } from '#runtime/connectors/files/file-tree'
import { noCounts } from '#runtime/connectors/connector-context'
import type { SourceContext } from '#runtime/connectors/source'
import { silentLogger } from '#runtime/base/logger'
import { TestClock } from '#runtime/testing/test-clock'

const line = fc.string({ unit: fc.constantFrom('a', 'ö', '€', ' ', '\r'), maxLength: 12 })
/** Lines with ends of both kinds; the last one may have none. */
const file = fc
  .tuple(fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n')), { maxLength: 12 }), line)
  .map(([lines, last]) => Buffer.from(lines.map(([text, end]) => text + end).join('') + last))

function treeOf(bytes: Buffer, chunkBytes: number): FileTree {
  return {
    chunkBytes,
    list: async () => [],
    open: async () => ({
      read: async (start, end) => bytes.subarray(start, end),
      close: async () => undefined,
    }),
  }
}

/** All lines of a split; begins anew from its position after each `restartEvery` of them. */
async function linesOf(split: FileSplit, tree: FileTree, restartEvery: number, maxLineBytes: number) {
  let woken = Promise.withResolvers<void>()
  const context = {
    clock: new TestClock(),
    logger: silentLogger,
    counters: noCounts(),
    wake: () => woken.resolve(),
    fail: (error: unknown) => woken.reject(error),
  } as unknown as SourceContext
  const lines: string[] = []
  let skipped = 0
  let position: FilePosition | undefined
  for (;;) {
    const cursor = new FileCursor({ split, position, tree, context, maxLineBytes })
    let taken = 0
    while (!cursor.isExhausted && taken < restartEvery) {
      woken = Promise.withResolvers<void>()
      cursor.prefetch()
      const next = cursor.take()
      if (next !== undefined) {
        lines.push(next)
        taken++
      } else if (!cursor.isExhausted) await woken.promise
    }
    skipped += cursor.takeDropped().length
    cursor.close()
    if (cursor.isExhausted) return { lines, skipped }
    position = cursor.position
  }
}

test('parts of a file have each of its lines once, wherever it is cut and left off', async () => {
  await fc.assert(
    fc.asyncProperty(
      file,
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 4 }),
      async (bytes, partBytes, chunkBytes, restartEvery) => {
        const whole: FileSplit = { path: 'f', sizeBytes: bytes.length }
        const tree = treeOf(bytes, chunkBytes)
        const expected = await linesOf(whole, treeOf(bytes, 1000), Infinity, 1000)
        const found: string[] = []
        for (const part of partsOf(whole, partBytes))
          found.push(...(await linesOf(part, tree, restartEvery, 1000)).lines)
        expect(found).toEqual(expected.lines)
      },
    ),
    { numRuns: 400 },
  )
})

test('a line that is too long is skipped, and counted once, by the part in which it begins', async () => {
  await fc.assert(
    fc.asyncProperty(file, fc.integer({ min: 1, max: 40 }), async (bytes, partBytes) => {
      const whole: FileSplit = { path: 'f', sizeBytes: bytes.length }
      const expected = await linesOf(whole, treeOf(bytes, 1000), Infinity, 4)
      const found = { lines: [] as string[], skipped: 0 }
      for (const part of partsOf(whole, partBytes)) {
        const { lines, skipped } = await linesOf(part, treeOf(bytes, 3), Infinity, 4)
        found.lines.push(...lines)
        found.skipped += skipped
      }
      expect(found).toEqual(expected)
    }),
    { numRuns: 300 },
  )
})
