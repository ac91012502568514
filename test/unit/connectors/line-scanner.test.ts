import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LineScanner } from '#runtime/connectors/files/line-scanner'

/** Takes all lines of `bytes`, pushed in pieces cut at `cuts`, with the position before each. */
function scan(bytes: Buffer, cuts: readonly number[], maxLineBytes = 1000, from = 0) {
  const scanner = new LineScanner({ line: 1, byte: from, maxLineBytes: maxLineBytes })
  const lines: { line: string; at: number }[] = []
  const takeAll = () => {
    for (
      let at = scanner.position, line = scanner.take();
      line !== undefined;
      at = scanner.position, line = scanner.take()
    )
      lines.push({ line, at })
  }
  const borders = [
    ...new Set([
      from,
      ...cuts.filter((c) => c > from && c < bytes.length).sort((a, b) => a - b),
      bytes.length,
    ]),
  ]
  for (let i = 0; i + 1 < borders.length; i++) {
    scanner.push(Buffer.from(bytes.subarray(borders[i], borders[i + 1])))
    takeAll()
  }
  scanner.end()
  takeAll()
  return { lines, dropped: scanner.takeDropped(), position: scanner.position, line: scanner.line }
}
const texts = (bytes: Buffer, cuts: readonly number[] = []) => scan(bytes, cuts).lines.map((l) => l.line)

describe('LineScanner', () => {
  test.each([
    ['', []],
    ['a', ['a']],
    ['a\n', ['a']],
    ['a\nb', ['a', 'b']],
    ['a\r\nb\r\n', ['a', 'b']],
    ['\n\na', ['', '', 'a']],
    ['a\rb\n', ['a\rb']],
    ['\uFEFFa\n\uFEFFb', ['a', '\uFEFFb']],
    ['\r\n', ['']],
  ])('%j', (text, lines) => {
    const bytes = Buffer.from(text)
    expect(texts(bytes)).toEqual(lines)
    expect(
      texts(
        bytes,
        Array.from(bytes, (_, i) => i),
      ),
    ).toEqual(lines)
  })

  test('pieces of any size, and a start at any line, give the same lines', () => {
    const text = fc
      .array(fc.constantFrom('a', 'ß', '語', '😀', '\n', '\r\n', 'xyz'), { maxLength: 40 })
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(text, fc.array(fc.nat(120)), (t, cuts) => {
        const bytes = Buffer.from(t)
        const whole = scan(bytes, [])
        expect(whole.lines.map((l) => l.line)).toEqual(
          t.split(/\r?\n/).slice(0, t.endsWith('\n') || t === '' ? -1 : undefined),
        )
        expect(scan(bytes, cuts)).toEqual(whole)
        expect(whole.position).toBe(bytes.length)
        for (const [i, { at }] of whole.lines.entries())
          expect(scan(bytes, cuts, 1000, at).lines).toEqual(whole.lines.slice(i))
      }),
    )
  })

  test('lines that are too long are dropped with number and beginning, and those around them read', () => {
    const bytes = Buffer.from(`ok\n${'x'.repeat(50)}\nfine\n${'y'.repeat(11)}`)
    const cuts = Array.from(bytes, (_, i) => i)
    for (const c of [[], cuts, [20, 40]]) {
      const { lines, dropped, line } = scan(bytes, c, 10)
      expect(lines.map((l) => l.line)).toEqual(['ok', 'fine'])
      expect(dropped.map((long) => long.line)).toEqual([2, 4])
      for (const { text } of dropped) expect(text).toMatch(/^(x+|y+)$/)
      expect(line).toBe(5)
    }
  })

  test('while a long line is being dropped the position is its start', () => {
    const scanner = new LineScanner({ line: 1, byte: 0, maxLineBytes: 10 })
    scanner.push(Buffer.from(`a\n${'x'.repeat(20)}`))
    expect([scanner.take(), scanner.take(), scanner.position]).toEqual(['a', undefined, 2])
    expect([scanner.dropping?.line, scanner.takeDropped(), scanner.line]).toEqual([2, [], 2])
    scanner.push(Buffer.from('xx\nb\n'))
    expect([scanner.take(), scanner.position]).toEqual(['b', 27])
    expect(scanner.takeDropped()).toEqual([{ line: 2, text: 'x'.repeat(20) }])
  })
})
