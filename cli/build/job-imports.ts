/** How a bundle treats each import that is not simply put into it. */
import { isBuiltin } from 'node:module'
import type { OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from 'esbuild'
import { packageName } from '#runtime/base/package-name'
import { type InstalledPackage, isNative, packageOf, type PackageVersion } from './packages.ts'

export interface JobImportsOptions {
  /** Packages to leave out. */
  readonly external: readonly string[]
  /** Filled with what was left out, by name. */
  readonly leftOut: Map<string, PackageVersion>
}

export const jobImports = (options: JobImportsOptions): Plugin => ({
  name: 'job-imports',
  setup(build) {
    build.onResolve({ filter: /^weir-stream(\/|$)/ }, ({ path }) => ({ path, external: true }))
    build.onResolve({ filter: /^[^.#/]/ }, (args) => resolvePackage(build, args, options))
    build.onResolve({ filter: /^#require$/, namespace: 'required' }, () => BESIDE_BUNDLE)
    build.onLoad({ filter: /.*/, namespace: 'required' }, ({ path }) => ({ contents: requireText(path) }))
    build.onLoad({ filter: /.*/, namespace: BESIDE_BUNDLE.namespace }, () => ({ contents: REQUIRE_BESIDE }))
  },
})

/** Marks the plugin's own question to the bundler. */
const ASKED = Symbol('asked')

async function resolvePackage(
  build: PluginBuild,
  args: OnResolveArgs,
  { external, leftOut }: JobImportsOptions,
): Promise<OnResolveResult | undefined> {
  if (args.pluginData === ASKED || args.kind === 'entry-point') return undefined
  if (isBuiltin(args.path)) return leave(args)
  const name = packageName(args.path)
  const installed = await installedPackage(build, args)
  if (!external.includes(name) && !isNative(installed)) return undefined
  leftOut.set(name, { name, version: installed?.version ?? 'not installed here' })
  return leave(args)
}

async function installedPackage(
  build: PluginBuild,
  { path, kind, importer, resolveDir, with: attributes }: OnResolveArgs,
): Promise<InstalledPackage | undefined> {
  const asked = { kind, importer, resolveDir, with: attributes, pluginData: ASKED }
  const found = await build.resolve(path, asked)
  return found.errors.length > 0 || found.path === '' ? undefined : packageOf(found.path)
}

/** An ES module imports it; CommonJS in the bundle has no `require` of its own. */
const leave = ({ path, kind }: OnResolveArgs): OnResolveResult =>
  kind === 'require-call' || kind === 'require-resolve'
    ? { path, namespace: 'required' }
    : { path, external: true }

const requireText = (path: string): string =>
  isBuiltin(path)
    ? `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`
    : `module.exports = require('#require').load(${JSON.stringify(path)})`

const BESIDE_BUNDLE = { path: 'require', namespace: 'beside-bundle' }
const REQUIRE_BESIDE = `
  import { createRequire } from 'node:module'
  export const load = createRequire(import.meta.url)
`
