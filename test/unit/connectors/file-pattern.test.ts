import { describe, expect, test } from 'vitest'
import { matchesPattern, parseFilePattern } from '#runtime/connectors/files/file-pattern'

const parse = (text: unknown) => parseFilePattern('files.lines', text)

describe('parseFilePattern()', () => {
  test.each([
    ['in/', undefined, 'in', false],
    ['/data/in', undefined, '/data/in', false],
    ['/', undefined, '/', false],
    ['**/*.md', undefined, '.', true],
    ['/*.md', undefined, '/', true],
    ['docs/a{1,2}.md', undefined, 'docs', true],
    ['file:///data/x.txt', undefined, '/data/x.txt', false],
    ['s3://data', 'data', '', false],
    ['s3://data/books/', 'data', 'books', false],
    ['s3://data/books/**/*.txt', 'data', 'books', true],
    ['s3://data/*.txt', 'data', '', true],
  ])('%s', (text, bucket, base, isGlob) => {
    expect(parse(text)).toMatchObject({ bucket, base, isGlob })
  })

  test.each(['', undefined, 3, 'http://host/x', 'gs://bucket/x'])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow('is not a path. Expected a file, a directory, or a glob')
  })
})

describe('matchesPattern()', () => {
  test.each([
    ['in/', 'in/a.txt', true],
    ['in/', 'in/b/c.txt', true],
    ['in/', 'in2/a.txt', false],
    ['in/a.txt', 'in/a.txt', true],
    ['in/', 'in/.hidden', false],
    ['in/', 'in/.weir/a', false],
    ['docs/**/*.md', 'docs/a.md', true],
    ['docs/**/*.md', 'docs/b/c/a.md', true],
    ['docs/**/*.md', 'docs/a.txt', false],
    ['**/*.md', 'x/y.md', true],
    ['s3://data/books/', 'books/a', true],
    ['s3://data/books/', 'bookshop/a', false],
    ['s3://data/*.txt', 'a.txt', true],
    ['s3://data/*.txt', 'b/a.txt', false],
    ['s3://data', 'anything/at/all', true],
  ])('%s, %s: %j', (pattern, path, matches) => {
    expect(matchesPattern(parse(pattern), path)).toBe(matches)
  })
})
