/** The reference pages explain every code, reason and kind that Weir shows, and no other one. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { CONDITION_TYPES, REASONS } from '#operator/api/conditions'
import { ERROR_CODES } from '#runtime/base/errors'
import { FAILURE_REASONS } from '#runtime/contract/failure-reasons'
import { repositoryRoot } from '#tools/repository-root'
import { WAIT_ADVICE } from '../../scripts/advice/wait-advice.ts'
import { conditionReference } from '../../scripts/condition-reference.ts'
import { errorReference } from '../../scripts/error-reference.ts'
import { jobPhases } from '../../scripts/job-phases.ts'
import { recipesPage } from '../../scripts/recipes-page.ts'
import { waitReference } from '../../scripts/wait-reference.ts'

const page = (path: string): string => readFileSync(join(repositoryRoot, path), 'utf8')

test.each([
  ['docs/errors.md', errorReference],
  ['docs/recipes.md', recipesPage],
  ['docs/reference/conditions.md', conditionReference],
  ['docs/reference/job-phases.md', jobPhases],
  ['docs/reference/waits.md', waitReference],
])('%s is what npm run gen writes', (path, render) => {
  expect(page(path)).toBe(render())
})

/** Rows of the tables of a page with a name in the first of at least `columns` cells. */
const rowsOf = (path: string, columns: number): Map<string, string[]> =>
  new Map(
    [...page(path).matchAll(/^\| `(\w+)` \|(.*)\|$/gm)]
      .map(([, name = '', rest = '']) => [name, rest.split(/(?<!\\)\|/).map((c) => c.trim())] as const)
      .filter(([, cells]) => cells.length + 1 >= columns),
  )

/** A sentence, and not a word that stands for one; "Nothing." is advice too. */
const SENTENCE = /^(?:[^ ]+ ){2,}.*|^Nothing[.;]/

describe('every code has an entry that says what happened, why, and what to do', () => {
  const errors = page('docs/errors.md')

  test.each(Object.keys(ERROR_CODES))('%s in docs/errors.md', (code) => {
    const [, entry = ''] = errors.split(`### \`${code}\`\n`)
    const [own = ''] = entry.split('\n#')
    for (const part of ['What happened', 'Why', 'What to do'])
      expect(new RegExp(`\\*\\*${part}\\.\\*\\* (.*)`).exec(own)?.[1]).toMatch(SENTENCE)
    expect(own).toMatch(/\*\*Retried by\*\* .+/)
  })

  test.each([
    ['docs/errors.md', 5, Object.keys(FAILURE_REASONS)],
    ['docs/reference/conditions.md', 4, Object.keys(REASONS)],
    ['docs/reference/waits.md', 4, Object.keys(WAIT_ADVICE)],
  ] as const)('reasons and kinds in %s', (path, columns, names) => {
    const rows = rowsOf(path, columns)
    expect([...rows.keys()].toSorted()).toEqual(names.toSorted())
    for (const [name, cells] of rows)
      for (const text of cells.slice(0, 3)) expect(text, name).toMatch(SENTENCE)
  })
})

describe('the pages name no code and no reason that does not exist', () => {
  const pages = [
    'README.md',
    ...readdirSync(join(repositoryRoot, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join('docs', name)),
  ]
  const codes = new Set([...Object.keys(ERROR_CODES), ...Object.keys(FAILURE_REASONS)])
  const reasons = new Set([...Object.keys(REASONS), ...Object.keys(CONDITION_TYPES)])
  const unknown = (path: string, pattern: RegExp, known: ReadonlySet<string>): string[] =>
    [...page(path).matchAll(pattern)].map(([, name = '']) => name).filter((name) => !known.has(name))

  test.each(pages)('%s', (path) => {
    expect(unknown(path, /\b((?:CFG|USR|STO|CKP|NET|KUB)_[A-Z_]+)\b/g, codes)).toEqual([])
    expect(unknown(path, /\b((?:CHECKPOINT|FINALIZE|TOO_MANY|SINK)_[A-Z_]+)\b/g, codes)).toEqual([])
    expect(unknown(path, /(?:reason|event|events|condition) `(\w+)`/gi, reasons)).toEqual([])
  })
})

test('every recipe is a page and every page a recipe', () => {
  const programs = readdirSync(join(repositoryRoot, 'examples/recipes')).filter(
    (n) => n !== 'recipes.test.ts',
  )
  const shown = [...page('docs/recipes.md').matchAll(/\]\(\.\.\/examples\/recipes\/([^)]+)\)/g)].map(
    (m) => m[1],
  )
  expect(shown.toSorted()).toEqual(programs.toSorted())
})
