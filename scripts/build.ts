/**
 * Compiles the package into dist/: JavaScript with source maps and type declarations, same tree as the sources.
 *
 * `#runtime/*` and its siblings stay as they are in the output; dist/package.json maps them to the compiled files, for Node and for TypeScript in
 * projects that install the package. It carries name, version and exports too, so that compiled code finds the package it belongs to.
 * The output is written elsewhere on the same file system and swapped in at the end: a failed build leaves the previous one.
 */
import { spawn } from 'node:child_process'
import { chmod, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from './root.ts'

interface PackageJson {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly type: string
  readonly imports: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
}

const SHIPPED_IMPORTS = ['#runtime/*', '#operator/*', '#cli/*', '#sim/*']
const EXECUTABLES = ['cli/main.js']
const NEW_DIST = 'node_modules/.cache/weir/dist.new'
const OLD_DIST = 'node_modules/.cache/weir/dist.old'

async function build(): Promise<void> {
  const started = performance.now()
  await rm(join(root, NEW_DIST), { recursive: true, force: true })
  await compile()
  const source = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as PackageJson
  await writeFile(join(root, NEW_DIST, 'package.json'), `${JSON.stringify(distPackage(source), null, 2)}\n`)
  for (const path of EXECUTABLES) await makeExecutable(join(root, NEW_DIST, path))
  await swapIn()
  console.log(`built dist/ in ${((performance.now() - started) / 1000).toFixed(1)} s`)
}

const compile = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const child = spawn(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', NEW_DIST], { cwd: root, stdio: 'inherit' })
    child.on('error', reject)
    child.on('exit', (code, signal) =>
      code === 0
        ? resolve()
        : reject(new Error(`tsc ended with ${signal ?? `code ${code}`}; dist/ is unchanged. Correct the errors above.`)),
    )
  })

const distPackage = (source: PackageJson): object => ({
  name: source.name,
  version: source.version,
  license: source.license,
  type: source.type,
  imports: Object.fromEntries(SHIPPED_IMPORTS.map((name) => [name, compiled(source.imports[name])])),
  exports: mapStrings(source.exports, (path) => path.replace(/^\.\/dist\//, './')),
})

function compiled(target: string | undefined): string {
  if (target === undefined) throw new Error(`package.json "imports" lacks one of ${SHIPPED_IMPORTS.join(', ')}`)
  return target.replace(/\.ts$/, '.js')
}

function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mapStrings(member, change)]))
}

async function makeExecutable(path: string): Promise<void> {
  const text = await readFile(path, 'utf8')
  if (!text.startsWith('#!')) await writeFile(path, `#!/usr/bin/env node\n${text}`)
  await chmod(path, 0o755)
}

async function swapIn(): Promise<void> {
  const [dist, fresh, old] = ['dist', NEW_DIST, OLD_DIST].map((name) => join(root, name)) as [string, string, string]
  await rm(old, { recursive: true, force: true })
  if (await exists(dist)) await rename(dist, old)
  await rename(fresh, dist)
  await rm(old, { recursive: true, force: true })
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

try {
  await build()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
