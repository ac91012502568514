/**
 * Puts into dist/ what the package uses of two large libraries, in place of the modules that
 * re-export it: the SDK of AWS and the Kubernetes client would be 85 of 140 MB of an installation.
 * `dist/vendor-licenses.txt` has their licenses.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { build, type Metafile, type Plugin, stop } from 'esbuild'
import { repositoryRoot } from '#tools/repository-root'

/** Each re-exports from one library by name, and nothing else. */
export const VENDORED = ['runtime/storage/s3-library', 'operator/kube/kube-config'] as const

/** Bundles the vendored modules from the sources into `outDir`, over what tsc made of them. */
export async function vendor(outDir: string): Promise<void> {
  try {
    const { metafile } = await build({
      absWorkingDir: repositoryRoot,
      entryPoints: VENDORED.map((name) => `${name}.ts`),
      outbase: '.',
      outdir: outDir,
      bundle: true,
      splitting: true,
      chunkNames: 'vendor/[name]-[hash]',
      format: 'esm',
      platform: 'node',
      target: 'node24',
      banner: { js: REQUIRE },
      legalComments: 'none',
      logLevel: 'warning',
      metafile: true,
      plugins: [withoutApiClasses],
    })
    await writeFile(join(outDir, 'vendor-licenses.txt'), licensesOf(metafile))
  } finally {
    await stop()
  }
}

/** CommonJS libraries among them require node: modules. */
const REQUIRE = `import { createRequire as weirCreateRequire } from 'node:module'
const require = weirCreateRequire(import.meta.url)`

/**
 * KubeConfig can also make clients of the library's own classes, one for each kind of Kubernetes,
 * which go through undici. Nothing here does.
 */
const withoutApiClasses: Plugin = {
  name: 'without-api-classes',
  setup({ onResolve, onLoad }) {
    const empty = (path: string) => ({ path, namespace: 'empty' })
    onResolve({ filter: /\/gen\/(index|.*)\.js$/ }, ({ path, importer }) =>
      importer.includes('@kubernetes/client-node') ? empty(path) : undefined,
    )
    onResolve({ filter: /^undici$/ }, ({ path }) => empty(path))
    onLoad({ filter: /.*/, namespace: 'empty' }, () => ({ contents: 'module.exports = {}' }))
  },
}

/** Each license once, below the packages that are under it. */
function licensesOf({ inputs }: Metafile): string {
  const directories = new Set(
    Object.keys(inputs).flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []),
  )
  const packagesByText = Map.groupBy(
    [...directories].toSorted().map((directory) => licenseOf(resolve(repositoryRoot, directory))),
    ({ text }) => text,
  )
  return [...packagesByText]
    .map(([text, packages]) => `${packages.map(({ name }) => name).join('\n')}\n\n${text}\n`)
    .join(`\n${'-'.repeat(80)}\n\n`)
}

function licenseOf(directory: string): { readonly name: string; readonly text: string } {
  const { name, version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
    readonly name: string
    readonly version: string
    readonly license?: string
  }
  const file = readdirSync(directory).find((entry) => /^licen[cs]e/i.test(entry))
  const text = file === undefined ? '' : readFileSync(join(directory, file), 'utf8').trim()
  return { name: `${name} ${version}`, text: text === '' ? (license ?? 'no license is named') : text }
}
