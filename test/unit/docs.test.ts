import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ERROR_CODES } from '#runtime/base/errors'
import { FAILURE_REASONS } from '#runtime/contract/failure-reasons'
import { repositoryRoot } from '#tools/repository-root'
import { errorReference } from '../../scripts/error-reference.ts'
import { jobPhases } from '../../scripts/job-phases.ts'

const page = (path: string): string => readFileSync(join(repositoryRoot, path), 'utf8')

describe('docs/errors.md', () => {
  test('is what npm run gen writes', () => {
    expect(page('docs/errors.md')).toBe(errorReference())
  })
  test('lists every code and every reason once', () => {
    const listed = [...page('docs/errors.md').matchAll(/^\| `([A-Z_]+)` \|/gm)].map((match) => match[1] ?? '')
    expect(listed.toSorted()).toEqual(
      [...Object.keys(ERROR_CODES), ...Object.keys(FAILURE_REASONS)].toSorted(),
    )
  })
})

describe('docs/reference/job-phases.md', () => {
  test('is what npm run gen writes', () => {
    expect(page('docs/reference/job-phases.md')).toBe(jobPhases())
  })
})
