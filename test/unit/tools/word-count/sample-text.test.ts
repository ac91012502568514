import { describe, expect, test } from 'vitest'
import { sampleFiles, sampleText } from '#tools/word-count/sample-text'

describe('sample text', () => {
  test('is the same every time, so that every installation has the same words', () => {
    expect(sampleText('a title', 7, 5000)).toBe(sampleText('a title', 7, 5000))
    expect(sampleText('a title', 7, 5000)).not.toBe(sampleText('a title', 8, 5000))
  })

  test('leaves no place of a sentence unfilled and ends in a newline', () => {
    for (const { name, text } of sampleFiles(20_000)) {
      expect(name).toMatch(/^[a-z-]+\.txt$/)
      expect(text).not.toMatch(/[{}]|undefined/)
      expect(text.endsWith('\n')).toBe(true)
      expect(text.length).toBeGreaterThanOrEqual(20_000)
    }
  })
})
