/**
 * Compiles the package into dist/: JavaScript with source maps and type declarations, same tree as
 * the sources.
 *
 * `#runtime/*` and its siblings stay as they are in the output; dist/package.json maps them to the
 * compiled files, for Node and for TypeScript in projects that install the package. It carries
 * name, version and exports too, so that compiled code finds the package it belongs to. The output
 * is written elsewhere on the same file system and swapped in at the end: a failed build leaves the
 * previous one.
 */
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '#runtime/base/errors'
import { runNode, seconds, tool } from './program.ts'
import { repositoryRoot } from '#tools/repository-root'
import { vendor } from './vendor.ts'

interface PackageJson {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly type: string
  readonly imports: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
}

const SHIPPED_IMPORTS = ['#runtime/*', '#operator/*', '#cli/*', '#sim/*', '#tools/*']
const MAX_SWAPS = 5
const CACHE = join(repositoryRoot, 'node_modules/.cache/weir')

async function build(): Promise<void> {
  const started = performance.now()
  await mkdir(CACHE, { recursive: true })
  // Of one's own: several builds may run at once, as when tests pack the package.
  const work = await mkdtemp(join(CACHE, 'build-'))
  try {
    const fresh = join(work, 'dist')
    await compile(fresh)
    await vendor(fresh)
    const source = JSON.parse(await readFile(join(repositoryRoot, 'package.json'), 'utf8')) as PackageJson
    await writeFile(join(fresh, 'package.json'), `${JSON.stringify(distPackage(source), null, 2)}\n`)
    await swapIn(fresh, join(repositoryRoot, 'dist'), work)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  console.log(`built dist/ in ${seconds(performance.now() - started)}`)
}

async function compile(outDir: string): Promise<void> {
  const { code } = await runNode(
    [tool('typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', outDir],
    { show: true },
  )
  if (code !== 0)
    throw new Error(`tsc ended with code ${code}; dist/ is unchanged. Correct the errors above.`)
}

const distPackage = (source: PackageJson): object => ({
  name: source.name,
  version: source.version,
  license: source.license,
  type: source.type,
  imports: Object.fromEntries(SHIPPED_IMPORTS.map((name) => [name, compiled(source.imports[name])])),
  exports: mapStrings(source.exports, (path) => path.replace(/^\.\/dist\//, './')),
})

function compiled(target: string | undefined): string {
  if (target === undefined)
    throw new Error(`package.json "imports" lacks one of ${SHIPPED_IMPORTS.join(', ')}`)
  return target.replace(/\.ts$/, '.js')
}

function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mapStrings(member, change)]))
}

/**
 * The previous output goes aside first, because a directory cannot be renamed over one that has
 * files.
 */
async function swapIn(fresh: string, dist: string, work: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await rename(dist, join(work, `old-${attempt}`)).catch(ignore('ENOENT'))
      return await rename(fresh, dist)
    } catch (error) {
      // Another build put its output there in between.
      if (attempt === MAX_SWAPS || !['ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? '')) throw error
    }
  }
}

const ignore =
  (code: string) =>
  (error: unknown): void => {
    if (systemCode(error) !== code) throw error
  }

try {
  await build()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
