import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { planJob, readModule } from '#runtime/job-manager/plan-job'

async function moduleOf(source: string) {
  const path = join(await mkdtemp(join(tmpdir(), 'weir-plan-')), 'job.ts')
  await writeFile(path, source)
  return readModule(path, { input: '/nowhere' })
}
const plan = async (source: string) =>
  planJob({ module: await moduleOf(source), parallelism: 2, maxParallelism: 128 })

const JOB = `import { defineJob, files } from 'weir-stream'
export default defineJob(({ env, args }) => {
  env.source('in', files.lines(args.input)).sink('out', files.jsonl('/nowhere-out'))
})
`

describe('planJob()', () => {
  test('evaluates the module in a thread of its own and gives the plan', async () => {
    const { plan: planned, module } = await plan(JOB)
    expect(planned.vertices.flatMap((v) => v.operators.map((o) => o.uid))).toContain('out')
    expect(module.sha256).toMatch(/^[0-9a-f]{64}$/)
    expect((await plan(JOB)).plan.hash).toBe(planned.hash)
  })

  test.each([
    ['that does not parse', 'export default (', 'CFG_MODULE'],
    ['without a job', 'export const x = 1', 'CFG_MODULE'],
    ['that throws', `${JOB}\nthrow new Error('out of luck')`, 'CFG_MODULE'],
    ['that ends the process', `${JOB}\nprocess.exit(3)`, 'CFG_MODULE'],
    ['whose graph has no sink', JOB.replace(".sink('out', files.jsonl('/nowhere-out'))", ''), 'CFG_GRAPH'],
  ])('refuses a module %s', async (_, source, code) => {
    await expect(plan(source)).rejects.toMatchObject({ code })
  })

  test('names a module that is not there', async () => {
    await expect(readModule('/nowhere/job.ts', {})).rejects.toMatchObject({
      code: 'CFG_MODULE',
      message: expect.stringMatching(/^Cannot read the job module \/nowhere\/job.ts: ENOENT/),
    })
  })
})
