import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { JobModule } from '#runtime/graph/load-module'
import { runBounded } from '#test/kit/run-bounded'
import { tempDir } from '#tools/servers/temp-dir'

/** Views per second. The watermark moves after 1,024 lines of a file. */
const job: JobModule = {
  name: 'views.ts',
  source: `import { defineJob, files, monotonous, tumbling } from 'weir-stream'
    export default defineJob(({ env, args }) => {
      env.source('views', files.jsonl(args.input, args.options))
        .map('plain', (view) => view)
        .assignTimestamps((view) => view.at, monotonous())
        .keyBy((view) => view.page)
        .window('counts', tumbling('1s'))
        .count()
        .sink('out', files.jsonl(args.output))
    })`,
}

const SECOND = 1000
const linesOf = (start: number, page: string): string =>
  Array.from({ length: 3000 }, (_, i) => JSON.stringify({ page, at: start + i })).join('\n')

/** Lines of all files that were put out, in an order of their own. */
async function counted(dir: string, parallelism: number, options: object): Promise<unknown[]> {
  const output = join(dir, `out-${parallelism}-${JSON.stringify(options).length}`)
  await runBounded(job, { args: { input: join(dir, 'in'), output, options }, parallelism })
  const names = (await readdir(output)).filter((name) => !name.startsWith('.'))
  const texts = await Promise.all(names.map((name) => readFile(join(output, name), 'utf8')))
  return texts
    .flatMap((text) => text.split('\n').filter((line) => line !== ''))
    .toSorted()
    .map((line) => JSON.parse(line) as unknown)
}

const sum = (rows: unknown[]): number =>
  (rows as { count: number }[]).reduce((all, { count }) => all + count, 0)

describe('files that do not follow each other in time', () => {
  test('give the same windows, whole, by whatever number of readers they are read', async () => {
    await using dir = await tempDir('event-time')
    await mkdir(join(dir.path, 'in'))
    const starts = [40, 10, 30, 0, 20]
    for (const [i, start] of starts.entries())
      await writeFile(join(dir.path, 'in', `${i}.jsonl`), linesOf(start * SECOND, i % 2 === 0 ? '/a' : '/b'))
    const alone = await counted(dir.path, 1, {})
    expect(alone).toHaveLength(15)
    expect(sum(alone)).toBe(15_000)
    for (const parallelism of [2, 3, 4]) expect(await counted(dir.path, parallelism, {})).toEqual(alone)
  })

  test('give the same windows when they are read in parts', async () => {
    await using dir = await tempDir('event-time')
    await mkdir(join(dir.path, 'in'))
    for (const [i, start] of [20, 0].entries())
      await writeFile(join(dir.path, 'in', `${i}.jsonl`), linesOf(start * SECOND, '/a'))
    const whole = await counted(dir.path, 1, {})
    expect(sum(whole)).toBe(6000)
    for (const parallelism of [1, 3])
      expect(await counted(dir.path, parallelism, { splitBytes: 65_536 })).toEqual(whole)
  })

  test('are late where the job says that they do', async () => {
    await using dir = await tempDir('event-time')
    await mkdir(join(dir.path, 'in'))
    await writeFile(join(dir.path, 'in', 'a.jsonl'), linesOf(40 * SECOND, '/a'))
    await writeFile(join(dir.path, 'in', 'b.jsonl'), linesOf(0, '/a'))
    expect(sum(await counted(dir.path, 1, { timeOrdered: true }))).toBe(3000)
    expect(sum(await counted(dir.path, 1, {}))).toBe(6000)
  })
})
