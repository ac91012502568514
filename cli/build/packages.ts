/** Packages as they lie on the disk. */
import { existsSync, lstatSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { member, textMember } from '#runtime/base/member'

export interface PackageVersion {
  readonly name: string
  readonly version: string
}

export interface InstalledPackage extends PackageVersion {
  /** Its own directory. */
  readonly directory: string
  /** What it says about itself. */
  readonly json: unknown
}

/** The package that a file belongs to: the nearest package.json above it that has a name. */
export function packageOf(file: string): InstalledPackage | undefined {
  for (let directory = dirname(file); directory !== dirname(directory); directory = dirname(directory)) {
    const json = readPackageJson(directory)
    const name = textMember(json, 'name')
    if (name !== undefined)
      return { name, version: textMember(json, 'version') ?? 'without version', directory, json }
  }
  return undefined
}

function readPackageJson(directory: string): unknown {
  try {
    return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
  } catch {
    return undefined
  }
}

const NATIVE_LOADERS = [
  '@mapbox/node-pre-gyp',
  'bindings',
  'node-addon-api',
  'node-gyp-build',
  'node-gyp-build-optional-packages',
  'prebuild-install',
]

/** Whether a package brings compiled code, which cannot be put into a module. */
export function isNative(installed: InstalledPackage | undefined): boolean {
  if (installed === undefined) return false
  const { directory, json } = installed
  const dependencies = member(json, 'dependencies')
  return (
    existsSync(join(directory, 'binding.gyp')) ||
    member(json, 'gypfile') === true ||
    member(json, 'napi') !== undefined ||
    NATIVE_LOADERS.some((name) => member(dependencies, name) !== undefined)
  )
}

/** Whether a package is linked from beside the job (a workspace, `file:`), not installed. */
export function isLinked(name: string, from: string): boolean {
  for (let directory = from; directory !== dirname(directory); directory = dirname(directory)) {
    const place = join(directory, 'node_modules', name)
    if (!existsSync(place)) continue
    return lstatSync(place).isSymbolicLink() && !realpathSync(place).includes(`${sep}node_modules${sep}`)
  }
  return false
}
