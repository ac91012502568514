import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { buildPlan } from '#runtime/graph/execution-plan'
import { buildGraph } from '#runtime/graph/job-definition'
import { loadJobModule } from '#runtime/graph/load-module'
import { repositoryRoot } from '#tools/repository-root'

/** Complete programs in the pages: blocks of TypeScript that define a job. */
const programs = ['README.md', 'docs/writing-jobs.md'].flatMap((page) =>
  [...readFileSync(join(repositoryRoot, page), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)]
    .map(([, source]) => source as string)
    .filter((source) => source.includes('export default defineJob'))
    .map((source, i) => [`${page}, program ${i + 1}`, source] as const),
)

/** Operators of each program, a line for each vertex. */
const PLANS: Readonly<Record<string, readonly string[]>> = {
  'README.md, program 1': ['lines.discover', 'lines words', 'count out'],
  'docs/writing-jobs.md, program 1': ['lines.discover', 'lines map.1 filter.1 words', 'count out'],
  'docs/writing-jobs.md, program 2': [
    'clicks.discover',
    'clicks assignTimestamps.1',
    'per-minute mainOutput.1 counts',
    'sideOutput.1 late',
  ],
  'docs/writing-jobs.md, program 3': ['payments.discover', 'payments', 'spending alerts'],
  'docs/writing-jobs.md, program 4': ['changes.discover', 'changes out'],
  'docs/writing-jobs.md, program 5': ['lines.discover', 'lines rows'],
}

describe('programs in the documentation', () => {
  test('are all known here', () => {
    expect(programs.map(([name]) => name)).toEqual(Object.keys(PLANS))
  })

  test.each(programs)('%s builds its plan', async (name, source) => {
    const job = await loadJobModule({ name: join(repositoryRoot, `${name}.ts`), source })
    const plan = buildPlan(buildGraph(job, { input: 'in/', output: 'out/', late: 'late/' }), {
      parallelism: 2,
      maxParallelism: 128,
    })
    expect(plan.vertices.map((v) => v.operators.map((o) => o.uid).join(' '))).toEqual(PLANS[name])
    expect(plan.guarantee).toBe('exactly-once')
  })
})
