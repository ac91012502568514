import { mkdirSync } from 'node:fs'
import { basename, dirname, extname, join, relative, resolve } from 'node:path'
import { messageOf } from '#runtime/base/errors'
import { formatBytes } from '#runtime/base/units'
import { badInput } from '#cli/cli-error'
import { checkFile, isModule, MODULES } from '#cli/local/job-file'
import { writeAtomically } from '#cli/local/write-atomically'
import type { Output } from '#cli/output'
import { count, plural } from '#cli/progress/facts-text'
import { type Bundle, bundleJob } from './bundle.ts'
import type { PackageVersion } from './packages.ts'

/**
 * What a ConfigMap holds at most, less 16 KiB: the operator puts the source with the configuration
 * of the processes into one for each run.
 */
const CONFIG_MAP_BYTES = 1024 * 1024 - 16 * 1024

/**
 * `weir build`: writes the bundle of a job and says what is in it.
 * @throws {CliError | WeirError} when the job cannot be bundled or the file not be written
 */
export async function buildJob(
  output: Output,
  file: string,
  options: { readonly out?: string; readonly external?: readonly string[] },
  cwd: string,
): Promise<void> {
  const entry = resolve(cwd, file)
  await checkFile(file, entry)
  if (!isModule(entry))
    throw badInput(`Cannot bundle ${file}. Expected a job module (${MODULES.join(', ')}).`)
  const outFile = resolve(cwd, options.out ?? join('dist', `${basename(file, extname(file))}.mjs`))
  if (outFile === entry) throw badInput(`${file} would be replaced by its bundle.`, 'Choose another --out.')
  const bundle = await bundleJob(entry, { outFile, external: options.external ?? [] })
  write(outFile, bundle.text)
  const { text: _, ...facts } = bundle
  output.result({ file: outFile, ...facts }, buildText(relative(cwd, outFile), bundle))
}

function write(file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeAtomically(file, text)
  } catch (error) {
    throw badInput(`Cannot write ${file}: ${messageOf(error)}.`, 'Choose another file by --out.')
  }
}

/** Pure. */
export function buildText(file: string, bundle: Bundle): string {
  const { sizeBytes, modules, packages, external, warnings } = bundle
  return [
    `${file}: ${formatBytes(sizeBytes)} with its source map, ${plural(modules, 'module')}`,
    ...(packages.length === 0 ? [] : [`packages in it: ${named(packages)}`]),
    ...(external.length === 0
      ? []
      : [`packages left out, to be installed where the job runs: ${named(external)}`]),
    ...(sizeBytes <= CONFIG_MAP_BYTES ? [] : [tooLarge(sizeBytes)]),
    ...warnings.map((warning) => `warning: ${warning}`),
  ].join('\n')
}

const named = (packages: readonly PackageVersion[]): string =>
  packages.map(({ name, version }) => `${name} ${version}`).join(', ')

const tooLarge = (sizeBytes: number): string =>
  `Too large for a ConfigMap or an inline job (${count(sizeBytes)} of ${count(CONFIG_MAP_BYTES)} bytes). ` +
  "Copy it into an image built FROM Weir's and name it in spec.job.module; " +
  'or leave packages out that the image has, by --external.'
