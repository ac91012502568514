/**
 * A job with all files and packages that it imports, as one ES module.
 *
 * B1 The bytes depend on the sources, on where they lie relative to each other and to the bundle,
 *    and on the version of the bundler, which is exact; on no absolute path and no clock.
 * B2 `weir-stream` stays an import: a job and the runtime share one copy of it.
 * B3 The source map, inline, has the lines of the author's files, not those of packages.
 */
import { createHash } from 'node:crypto'
import { dirname, resolve } from 'node:path'
import type { BuildOptions, BuildResult, Metafile } from 'esbuild'
import { messageOf, WeirError } from '#runtime/base/errors'
import { BUNDLE_MARK } from '#runtime/graph/strip-types'
import { CliError } from '#cli/cli-error'
import { EXIT } from '#cli/exit-codes'
import {
  bundleError,
  bundleFailure,
  isBuildFailure,
  refusedWarnings,
  warningText,
} from './bundle-problems.ts'
import { jobImports } from './job-imports.ts'
import { packageOf, type PackageVersion } from './packages.ts'
import { type SourceMapText, withoutSources } from './source-map.ts'

export interface Bundle {
  /** JavaScript with its source map. */
  readonly text: string
  readonly sizeBytes: number
  readonly sha256: string
  /** Files in it, those of packages included. */
  readonly modules: number
  /** Packages in it, by name; of several versions each. */
  readonly packages: readonly PackageVersion[]
  /** Packages that it imports when it runs, besides `weir-stream`. */
  readonly external: readonly PackageVersion[]
  readonly warnings: readonly string[]
}

export interface BundleOptions {
  /** Where the bundle will lie, absolute: its source map names files relative to there. */
  readonly outFile: string
  /** Packages to leave out besides those with native code. */
  readonly external?: readonly string[]
}

/**
 * Bundles the job at `entry` (absolute). Nothing is written.
 * @throws {WeirError} CFG_MODULE with file and line of every mistake in the job's files
 * @throws {CliError} when the bundler cannot run on this machine
 */
export async function bundleJob(entry: string, options: BundleOptions): Promise<Bundle> {
  const leftOut = new Map<string, PackageVersion>()
  const result = await runBundler({
    ...OPTIONS,
    entryPoints: [entry],
    outfile: options.outFile,
    absWorkingDir: dirname(entry),
    plugins: [jobImports({ external: options.external ?? [], leftOut })],
  })
  const refused = refusedWarnings(result.warnings, dirname(entry))
  if (refused.length > 0) throw bundleFailure(refused)
  return bundleOf(entry, result, [...leftOut.values()])
}

const OPTIONS = {
  bundle: true,
  write: false,
  metafile: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  charset: 'utf8',
  sourcemap: 'external',
  sourcesContent: false,
  banner: { js: BUNDLE_MARK },
  logLevel: 'silent',
  // Passed over in silence by default.
  logOverride: { 'unsupported-dynamic-import': 'warning' },
} satisfies BuildOptions

type Result = BuildResult<{ write: false; metafile: true }>

async function runBundler(options: BuildOptions & typeof OPTIONS): Promise<Result> {
  const { build, stop } = await import('esbuild').catch((cause: unknown) => {
    throw bundlerMissing(cause)
  })
  try {
    return await build(options)
  } catch (error) {
    if (isBuildFailure(error)) throw bundleError(error, options.absWorkingDir ?? '.')
    throw bundlerMissing(error)
  } finally {
    // It is a process of its own, which would go on for as long as the job runs.
    await stop()
  }
}

const bundlerMissing = (cause: unknown): CliError =>
  new CliError(EXIT.failed, `The bundler (esbuild) cannot run here: ${messageOf(cause)}.`, {
    next: 'Install it again, with its part for this machine: npm install --include=optional weir-stream',
    cause,
  })

function bundleOf(entry: string, result: Result, external: readonly PackageVersion[]): Bundle {
  const output = Object.values(result.metafile.outputs).find(({ entryPoint }) => entryPoint !== undefined)
  if (output === undefined) throw new WeirError('BUG', 'The bundler gave no file.')
  if (!output.exports.includes('default'))
    throw new WeirError(
      'CFG_MODULE',
      `${entry}: the default export is missing. ` +
        'Expected: export default defineJob(({ env, args }) => { ... }).',
    )
  const files = filesIn(result.metafile, dirname(entry))
  const text = textOf(result)
  return {
    text,
    sizeBytes: Buffer.byteLength(text),
    sha256: createHash('sha256').update(text).digest('hex'),
    modules: files.length,
    packages: packagesOf(files, entry),
    external: sorted(external),
    warnings: result.warnings.map((warning) => warningText(warning, dirname(entry))),
  }
}

/** The module with its source map, less the lines of what is not the author's. */
function textOf({ outputFiles }: Result): string {
  const javascript = outputFiles.find(({ path }) => !path.endsWith('.map'))?.text ?? ''
  const map = JSON.parse(outputFiles.find(({ path }) => path.endsWith('.map'))?.text ?? '') as SourceMapText
  const own = withoutSources(map, (source) => /(^|\/)node_modules\/|^[a-z-]+:/.test(source))
  const encoded = Buffer.from(JSON.stringify(own)).toString('base64')
  return `${javascript}//# sourceMappingURL=data:application/json;base64,${encoded}\n`
}

/** Absolute paths; what the bundler's plugin made up is none. */
const filesIn = ({ inputs }: Metafile, directory: string): readonly string[] =>
  Object.keys(inputs)
    .filter((name) => !/^[a-z-]+:/.test(name))
    .map((name) => resolve(directory, name))

function packagesOf(files: readonly string[], entry: string): readonly PackageVersion[] {
  const own = packageOf(entry)?.directory
  const found = new Map<string, PackageVersion>()
  for (const file of files) {
    const it = packageOf(file)
    if (it !== undefined && it.directory !== own) {
      const { name, version } = it
      found.set(`${name}@${version}`, { name, version })
    }
  }
  return sorted([...found.values()])
}

const sorted = (packages: readonly PackageVersion[]): readonly PackageVersion[] =>
  packages.toSorted((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1))
