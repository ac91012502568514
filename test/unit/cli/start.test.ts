import { expect, test } from 'vitest'
import { sourceFiles } from '#tools/source-file'

const files = new Map(
  sourceFiles(['runtime', 'operator', 'cli', 'sim']).map((file) => [file.path.replace(/\.ts$/, ''), file]),
)

/** Packages that are loaded with `from` (paths without extension), whatever it then does. */
function packagesWith(from: readonly string[]): readonly string[] {
  const packages = new Set<string>()
  const seen = new Set<string>(from)
  for (const path of seen)
    for (const it of files.get(path)?.imports ?? []) {
      if (it.typeOnly || it.dynamic) continue
      if (it.path !== undefined) seen.add(it.path)
      else if (!it.specifier.startsWith('node:')) packages.add(it.specifier)
    }
  return [...packages].toSorted()
}

test('the help loads no library but the one for command lines', () => {
  expect(packagesWith(['cli/main'])).toEqual(['commander'])
})

test.each([
  'cli/local/plan',
  'cli/local/job-file',
  'cli/local/run-in-foreground',
  'cli/local/list',
  'cli/local/status',
  'cli/local/checkpoints',
])('%s, of local jobs, loads neither S3 nor Kubernetes nor the bundler', (path) => {
  expect(files.has(path)).toBe(true)
  const heavy = ['@aws-sdk/client-s3', '@kubernetes/client-node/dist/config.js', 'esbuild', 'fastify']
  expect(packagesWith([path]).filter((name) => heavy.includes(name))).toEqual([])
})
