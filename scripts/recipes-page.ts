import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '#tools/repository-root'

/** Programs of examples/recipes, in the order of the page. */
const RECIPES = [
  'sessions',
  'join',
  'top-n',
  'dead-letters',
  'enrich',
  'deduplicate',
  'changed-state',
  'deduplicate.test',
] as const

interface Recipe {
  readonly file: string
  readonly title: string
  /** What it does, to the end of the sentence that the title begins. */
  readonly what: string
  /** When to use it, and how it is done. */
  readonly use: string
  readonly code: string
}

/** @throws {Error} when the header of the program is not as the page needs it */
function read(name: string): Recipe {
  const file = `${name}.ts`
  const text = readFileSync(join(repositoryRoot, 'examples/recipes', file), 'utf8')
  const [, header = '', code = ''] = /^\/\*\*\n([\s\S]*?)\n \*\/\n([\s\S]*)$/.exec(text) ?? []
  const [first = '', use = ''] = header.split('\n *\n').map((part) =>
    part
      .split('\n')
      .map((line) => line.replace(/^ \* ?/, ''))
      .join(' '),
  )
  const [, title, what] = /^([^:]+): (.+)\.$/.exec(first) ?? []
  if (title === undefined || what === undefined || !use.startsWith('Use it '))
    throw new Error(`examples/recipes/${file}: expected a header "Title: what." and then "Use it ...".`)
  return { file, title, what, use, code: code.trim() }
}

const section = ({ file, title, what, use, code }: Recipe): string =>
  [
    `## ${title}`,
    '',
    `${what.charAt(0).toUpperCase()}${what.slice(1)}. ${use}`,
    '',
    '```ts',
    code,
    '```',
    '',
    `[examples/recipes/${file}](../examples/recipes/${file})`,
    '',
  ].join('\n')

/** The first sentence of `use`, without "Use it". */
const when = ({ use }: Recipe): string =>
  (use.split('. ')[0] ?? '').replace(/^Use it /, '').replace(/\.$/, '')

const anchor = (title: string): string => title.toLowerCase().replaceAll(' ', '-')

/** docs/recipes.md. */
export function recipesPage(): string {
  const recipes = RECIPES.map(read)
  return [
    '# Recipes',
    '',
    'What jobs are often asked for and no single step does. Each is a program of `examples/recipes` with',
    'a test; made from them by `npm run gen`.',
    '',
    '| recipe | use it |',
    '| --- | --- |',
    ...recipes.map((recipe) => `| [${recipe.title}](#${anchor(recipe.title)}) | ${when(recipe)} |`),
    '',
    ...recipes.map(section),
  ].join('\n')
}
