import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { buildPlan } from '#runtime/graph/execution-plan'
import { buildGraph } from '#runtime/graph/job-definition'
import { loadJobModule } from '#runtime/graph/load-module'
import { repositoryRoot } from '#test/kit/source-file'

/** Complete programs in the pages: blocks of TypeScript that define a job. */
const programs = ['README.md', 'docs/writing-jobs.md'].flatMap((page) =>
  [...readFileSync(join(repositoryRoot, page), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)]
    .map(([, source]) => source as string)
    .filter((source) => source.includes('export default defineJob'))
    .map((source, i) => [`${page}, program ${i + 1}`, source] as const),
)

describe('programs in the documentation', () => {
  test('there are some', () => {
    expect(programs.length).toBeGreaterThanOrEqual(4)
  })

  test.each(programs)('%s builds a plan', async (name, source) => {
    const job = await loadJobModule({ name: join(repositoryRoot, `${name}.ts`), source })
    const plan = buildPlan(buildGraph(job, { input: 'in/', output: 'out/', late: 'late/' }), {
      parallelism: 2,
      maxParallelism: 128,
    })
    expect(plan.vertices.length).toBeGreaterThan(1)
    expect(plan.guarantee).toBe('exactly-once')
  })
})
