import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { buildPlan } from '#runtime/graph/execution-plan'
import { buildGraph } from '#runtime/graph/job-definition'
import { loadJobModule, type JobModule } from '#runtime/graph/load-module'
import { runBounded } from '#test/kit/run-bounded'
import { tempDir } from '#tools/servers/temp-dir'

const root = join(import.meta.dirname, '../../../examples')

const moduleOf = async (name: string): Promise<JobModule> => ({
  name: `examples/${name}`,
  source: await readFile(join(root, name), 'utf8'),
})

/** Records in the committed files of a directory. */
async function recordsIn(directory: string): Promise<any[]> {
  const names = (await readdir(directory)).filter((name) => !name.startsWith('.'))
  const texts = await Promise.all(names.map((n) => readFile(join(directory, n), 'utf8')))
  return texts.flatMap((t) => t.split('\n').filter((l) => l !== '')).map((l) => JSON.parse(l) as unknown)
}

describe('examples', () => {
  test('every example loads and has a plan', async () => {
    const args = { input: 'in/', output: 'out/', late: 'late/' }
    for (const name of (await readdir(root)).filter((n) => /(?<!\.test)\.ts$/.test(n)))
      expect(
        buildPlan(buildGraph(await loadJobModule(await moduleOf(name)), args), {
          parallelism: 4,
          maxParallelism: 128,
        }).guarantee,
      ).toBe('exactly-once')
  })

  test.each([1, 2])('word-count counts words, parallelism %i', async (parallelism) => {
    await using dir = await tempDir('examples')
    const [input, output] = [join(dir.path, 'in'), join(dir.path, 'out')]
    await mkdir(input)
    await writeFile(join(input, 'a.txt'), 'The cat and the dog\nAND THE cow\n')
    await runBounded(await moduleOf('word-count.ts'), { args: { input, output }, parallelism })
    const counts = await recordsIn(output)
    expect(counts.filter((c) => c.key === 'the')).toEqual([1, 2, 3].map((count) => ({ key: 'the', count })))
    expect(counts).toHaveLength(8)
  })

  test('page-views counts by sliding windows and sets late views apart', async () => {
    await using dir = await tempDir('examples')
    const [input, output, late] = ['in.jsonl', 'out', 'late'].map((n) => join(dir.path, n)) as [
      string,
      string,
      string,
    ]
    const minute = 60_000
    const view = (page: string, at: number) => ({ page, user: 'u', at })
    // The watermark moves at the end of a batch of 1,024 records.
    const views = [...Array.from({ length: 2048 }, (_, i) => view('/', 20 * minute + i)), view('/late', 0)]
    await writeFile(input, views.map((v) => JSON.stringify(v)).join('\n'))
    await runBounded(await moduleOf('page-views.ts'), { args: { input, output, late } })
    const counts = await recordsIn(output)
    expect(counts.map((c) => [c.page, c.count])).toEqual(Array.from({ length: 5 }, () => ['/', 2048]))
    expect(counts[0].from).toBe('1970-01-01T00:16:00.000Z')
    expect(await recordsIn(late)).toEqual([view('/late', 0)])
  })

  test('failure-rate tells of minutes in which too much failed', async () => {
    await using dir = await tempDir('examples')
    const [input, output] = [join(dir.path, 'in.jsonl'), join(dir.path, 'out')]
    const requests = Array.from({ length: 60 }, (_, i) => ({
      service: i % 2 === 0 ? 'shop' : 'mail',
      status: i % 4 === 0 ? 503 : 200,
      at: 1000 + i,
    }))
    await writeFile(input, requests.map((r) => JSON.stringify(r)).join('\n'))
    await runBounded(await moduleOf('failure-rate.ts'), { args: { input, output, threshold: 0.2 } })
    expect(await recordsIn(output)).toEqual([
      { service: 'shop', from: '1970-01-01T00:00:01.000Z', requests: 30, failed: 15 },
    ])
  })
})
