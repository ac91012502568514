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

export default defineConfig({
  test: {
    projects: [
      project('unit', 10_000),
      project('property', 30_000),
      project('simulation', 300_000),
      project('integration', 120_000, { fileParallelism: false }),
      // The first run on a machine builds Kubernetes.
      project('cluster', 2_400_000, { fileParallelism: false }),
    ],
  },
})
