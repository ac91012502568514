import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const project = (name: string, timeoutMs: number, extra: object = {}) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    pool: 'forks' as const,
    ...extra,
  },
})

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
/** The package by its name, as jobs and their tests import it, without a build. */
const alias = [
  { find: /^weir-stream$/, replacement: source('runtime/index.ts') },
  { find: /^weir-stream\/testing$/, replacement: source('runtime/testing/index.ts') },
]

export default defineConfig({
  test: {
    globalSetup: source('test/kit/own-temp-dir.ts'),
    projects: [
      {
        resolve: { alias },
        ...project('unit', 10_000, { include: ['test/unit/**/*.test.ts', 'examples/**/*.test.ts'] }),
      },
      project('property', 30_000),
      project('simulation', 300_000),
      project('integration', 120_000, { fileParallelism: false }),
      // The first run on a machine builds Kubernetes.
      project('cluster', 2_400_000, { fileParallelism: false }),
    ],
  },
})
