/** What the bundler finds wrong, as sentences with the author's file and line. Pure. */
import { resolve } from 'node:path'
import type { BuildFailure, Message } from 'esbuild'
import { WeirError } from '#runtime/base/errors'
import { packageName } from '#runtime/base/package-name'

const MAX_SHOWN = 10

export const isBuildFailure = (error: unknown): error is BuildFailure =>
  error instanceof Error && 'errors' in error && Array.isArray(error.errors)

export const bundleError = (failure: BuildFailure, directory: string): WeirError =>
  bundleFailure(failure.errors.map((it) => `${placeOf(it, directory)}: ${explained(it)}`))

export function bundleFailure(problems: readonly string[]): WeirError {
  const more = problems.length > MAX_SHOWN ? [`and ${problems.length - MAX_SHOWN} more`] : []
  return new WeirError('CFG_MODULE', [...problems.slice(0, MAX_SHOWN), ...more].join('\n'))
}

/**
 * What a package may do behind a condition of its own is a mistake in the author's files: an
 * `import(variable)` would look for files beside the bundle, which are not there.
 */
export const refusedWarnings = (warnings: readonly Message[], directory: string): readonly string[] =>
  warnings
    .filter((it) => isDynamicImport(it) && !isInPackage(it))
    .map(
      (it) =>
        `${placeOf(it, directory)}: what import() loads must be known when the job is bundled. ` +
        'Write the path as a string, or import all candidates and choose among them.',
    )

export const warningText = (it: Message, directory: string): string =>
  isDynamicImport(it)
    ? `${placeOf(it, directory)}: loads modules by a name that is known only when it runs; ` +
      `where it does, leave the package out: --external ${packageIn(it.location?.file ?? '')}`
    : `${placeOf(it, directory)}: ${it.text}.`

const isDynamicImport = ({ id }: Message): boolean => id === 'unsupported-dynamic-import'

const isInPackage = ({ location }: Message): boolean =>
  /(^|[\\/])node_modules[\\/]/.test(location?.file ?? '')

const packageIn = (file: string): string => packageName(file.replace(/^.*node_modules[\\/]/, ''))

function placeOf({ location }: Message, directory: string): string {
  if (location === null) return 'The job'
  const place = `${resolve(directory, location.file)}:${location.line}:${location.column + 1}`
  const text = location.lineText.trim()
  return text === '' || text.length > 200 ? place : `${place} \`${text}\``
}

function explained({ text, notes, location }: Message): string {
  const missing = /^Could not resolve "(.+)"$/.exec(text)?.[1]
  if (missing !== undefined) return missingText(missing, notes)
  const kind = /^No loader is configured for "(.+)" files/.exec(text)?.[1]
  if (kind === '.node') return nativeText(location?.file ?? '')
  if (kind !== undefined)
    return `${kind} files cannot be imported, only code and JSON. Read the file when the job runs.`
  return `${text}.`
}

function missingText(specifier: string, notes: Message['notes']): string {
  if (specifier.startsWith('.') || specifier.startsWith('/'))
    return `there is no file ${JSON.stringify(specifier)}.`
  const exists = notes.find(({ text }) => !text.startsWith('You can mark the path'))
  if (exists !== undefined) return `cannot import ${JSON.stringify(specifier)}: ${exists.text}`
  if (specifier.startsWith('#')) return `the package.json above it has no "imports" for ${specifier}.`
  return (
    `no package ${packageName(specifier)} is installed. Install it: npm install ${packageName(specifier)}; ` +
    `or, where the job's machines have it, leave it out: --external ${packageName(specifier)}`
  )
}

const nativeText = (file: string): string =>
  /node_modules[\\/]/.test(file)
    ? 'native code cannot be put into a module. ' +
      `Leave the package out, and install it where the job runs: --external ${packageIn(file)}`
    : 'native code cannot be put into a module. ' +
      'Make it a package that is installed where the job runs, and leave that out: --external NAME'
