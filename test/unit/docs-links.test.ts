import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { repositoryRoot } from '#tools/repository-root'

const below = (folder: string): string[] =>
  readdirSync(join(repositoryRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))

const pages = ['README.md', 'CONTRIBUTING.md', ...below('docs'), ...below('examples')]

/** Targets of links to files of the repository. */
const linksOf = (page: string): string[] =>
  [...readFileSync(join(repositoryRoot, page), 'utf8').matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
    .map((match) => match[1] as string)
    .filter((target) => !/^[a-z]+:/.test(target))

test.each(pages)('links of %s lead somewhere', (page) => {
  expect(linksOf(page).filter((target) => !existsSync(join(repositoryRoot, dirname(page), target)))).toEqual(
    [],
  )
})

test('every page of docs is linked from another one', () => {
  const linked = new Set(pages.flatMap((page) => linksOf(page).map((target) => join(dirname(page), target))))
  const isListed = (page: string) =>
    linked.has(page) || [...linked].some((target) => page.startsWith(`${target}/`))
  expect(pages.filter((page) => page.startsWith('docs/') && !isListed(page))).toEqual([])
})
