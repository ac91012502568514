import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { repositoryRoot } from './repository-root.ts'

export interface Import {
  /** As written: `./x.ts`, `#runtime/base/errors`, `pino`. */
  readonly specifier: string
  /**
   * Path of the imported module from the repository's top, without extension; undefined for
   * packages.
   */
  readonly path: string | undefined
  /** Erased when compiled: no dependency at run time. */
  readonly typeOnly: boolean
  /** `import()` in a function: loaded when needed. */
  readonly dynamic: boolean
}

/**
 * A TypeScript file of the repository as the architecture test sees it: its imports and its code
 * without comments.
 */
export interface SourceFile {
  /** `runtime/base/errors.ts` */
  readonly path: string
  readonly code: string
  readonly imports: readonly Import[]
}

/** Every folder with TypeScript of the repository. */
export const SOURCE_FOLDERS = [
  'runtime',
  'operator',
  'cli',
  'sim',
  'tools',
  'scripts',
  'bench',
  'chaos',
  'examples',
  'test',
] as const

export function sourceFiles(folders: readonly string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(repositoryRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
      .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
      .toSorted()
      .map((path) => parseSource(path, readFileSync(join(repositoryRoot, path), 'utf8'))),
  )
}

export function parseSource(path: string, text: string): SourceFile {
  const code = withoutComments(text)
  return { path, code, imports: importsOf(path, code) }
}

const NAMES = String.raw`(?:[\w$]+\s*,?\s*)?(?:\{[^}]*\}|\*(?:\s+as\s+[\w$]+)?)?`
const STATIC = new RegExp(String.raw`^(?:import|export)\s+(type\s+)?${NAMES}\s*from\s+'([^']+)'`, 'gm')
const SIDE_EFFECT = /^import\s+'([^']+)'/gm
const DYNAMIC = /(typeof\s+)?\bimport\('([^']+)'\)/g

function importsOf(path: string, code: string): Import[] {
  const found = (specifier: string, typeOnly: boolean, dynamic: boolean): Import => ({
    specifier,
    path: resolveImport(path, specifier),
    typeOnly,
    dynamic,
  })
  return [
    ...[...code.matchAll(STATIC)].map((match) => found(match[2] ?? '', match[1] !== undefined, false)),
    ...[...code.matchAll(SIDE_EFFECT)].map((match) => found(match[1] ?? '', false, false)),
    ...[...code.matchAll(DYNAMIC)].map((match) => found(match[2] ?? '', match[1] !== undefined, true)),
  ]
}

function resolveImport(from: string, specifier: string): string | undefined {
  if (specifier.startsWith('#')) return specifier.slice(1)
  if (specifier.startsWith('.')) return posix.join(posix.dirname(from), specifier).replace(/\.ts$/, '')
  return undefined
}

/**
 * Line comments only where nothing but white space or code punctuation can precede them, so that
 * `http://` in a text survives.
 */
const withoutComments = (text: string): string =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|[\s;{}(),])\/\/.*$/gm, '$1')
