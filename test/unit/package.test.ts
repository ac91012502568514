import { existsSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { VERSION } from '#runtime/contract/version'
import { repositoryRoot } from '#tools/repository-root'
import { type SourceFile, sourceFiles } from '#tools/source-file'
import { VENDORED } from '../../scripts/vendor.ts'

interface PackageJson {
  readonly name: string
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly files: readonly string[]
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>
  readonly scripts: Readonly<Record<string, string>>
}

const manifest = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as PackageJson
const inRepository = (path: string): boolean => existsSync(join(repositoryRoot, path))
/** `./dist/runtime/index.js` -> `runtime/index.ts` */
const sourceOf = (path: string): string => path.replace(/^\.\/dist\//, '').replace(/(\.d)?\.[jt]s$/, '.ts')

describe('package.json', () => {
  test('has the version that the code speaks', () => {
    expect(manifest.version).toBe(VERSION)
  })
  test('the changelog has an entry for the version', () => {
    expect(readFileSync(join(repositoryRoot, 'CHANGELOG.md'), 'utf8')).toContain(`## [${manifest.version}]`)
  })
  test('exports are built from sources that exist, commands are there', () => {
    const entries = Object.values(manifest.exports).flatMap((target) =>
      typeof target === 'string' ? [target] : Object.values(target),
    )
    const built = entries.filter((path) => path.startsWith('./dist/'))
    expect(built.map(sourceOf).filter((path) => !inRepository(path))).toEqual([])
    expect(Object.values(manifest.bin).filter((path) => !inRepository(path))).toEqual([])
  })
  test('scripts start files that exist', () => {
    const started = Object.values(manifest.scripts).flatMap((line) =>
      [...line.matchAll(/node (\S+\.ts)/g)].map((match) => match[1] ?? ''),
    )
    expect(started.filter((path) => !inRepository(path))).toEqual([])
  })
  test('versions of dependencies are exact', () => {
    const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
      ([, range]) => !/^\d+\.\d+\.\d+$/.test(range),
    )
    expect(loose).toEqual([])
  })
  test('shipped code imports declared dependencies only, and each is used', () => {
    const imported = new Set(
      sourceFiles(['runtime', 'operator', 'cli', 'sim'])
        .filter((file) => !isVendored(file))
        .flatMap((file) => file.imports)
        .filter(
          (it) =>
            it.path === undefined &&
            !it.specifier.startsWith('node:') &&
            !builtinModules.includes(it.specifier),
        )
        .map((it) => packageOf(it.specifier))
        .filter((name) => name !== manifest.name),
    )
    expect([...imported].toSorted()).toEqual(Object.keys(manifest.dependencies).toSorted())
  })
  test('what is built into the package comes from development dependencies, which are no others', () => {
    const vendored = sourceFiles(['runtime', 'operator'])
      .filter(isVendored)
      .flatMap((file) => file.imports.map((it) => packageOf(it.specifier)))
    expect(new Set(vendored).size).toBe(VENDORED.length)
    expect(vendored.filter((name) => manifest.devDependencies[name] === undefined)).toEqual([])
  })
})

const isVendored = ({ path }: SourceFile): boolean => VENDORED.some((name) => path === `${name}.ts`)

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
