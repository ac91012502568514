import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { repositoryRoot } from '#tools/repository-root'
import { SOURCE_FOLDERS, sourceFiles } from '#tools/source-file'

/** The formatter breaks code but neither texts nor comments. */
const CODE_COLUMNS = 110
const COMMENT_COLUMNS = 100

const isComment = (line: string): boolean => /^\s*(\/\/|\/?\*)/.test(line)

const tooLong = (text: string): number[] =>
  text.split('\n').flatMap((line, index) => {
    const columns = isComment(line) ? COMMENT_COLUMNS : CODE_COLUMNS
    return line.length > columns ? [index + 1] : []
  })

test('no line of code has more than 110 columns, no line of a comment more than 100', () => {
  const found = sourceFiles(SOURCE_FOLDERS).flatMap(({ path }) =>
    tooLong(readFileSync(join(repositoryRoot, path), 'utf8')).map((line) => `${path}:${line}`),
  )
  expect(found).toEqual([])
})

test('a long text and a long comment are found, each by its own limit', () => {
  const text = ['x'.repeat(110), `// ${'x'.repeat(98)}`, 'x'.repeat(111), ` * ${'x'.repeat(97)}`].join('\n')
  expect(tooLong(text)).toEqual([2, 3])
})
