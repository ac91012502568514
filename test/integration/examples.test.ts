import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { repositoryRoot } from '#tools/repository-root'
import { tempDir } from '#tools/servers/temp-dir'

const MINUTE = 60_000

/**
 * Runs an example of the repository as a person does: `weir run`, processes, files. Gives what was
 * committed below each output argument.
 */
async function runExample(
  file: string,
  input: Readonly<Record<string, string>>,
  outputs: readonly string[],
  args: readonly string[] = [],
) {
  await using dir = await tempDir('example')
  await mkdir(join(dir.path, 'in'))
  for (const [name, text] of Object.entries(input)) await writeFile(join(dir.path, 'in', name), text)
  const options = ['input=in', ...outputs.map((name) => `${name}=out/${name}`), ...args].flatMap((arg) => [
    '--arg',
    arg,
  ])
  const command = [
    join(repositoryRoot, 'cli/main.ts'),
    'run',
    join(repositoryRoot, 'examples', file),
    ...options,
    '--slots',
    '1',
  ]
  const child = spawn(process.execPath, command, { cwd: dir.path, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  expect(code, said).toBe(0)
  return Object.fromEntries(
    await Promise.all(
      outputs.map(async (name) => [name, await committed(join(dir.path, 'out', name))] as const),
    ),
  )
}

async function committed(directory: string): Promise<any[]> {
  const names = await readdir(directory).catch(() => [])
  const texts = await Promise.all(
    names.filter((n) => !n.startsWith('.')).map((n) => readFile(join(directory, n), 'utf8')),
  )
  return texts.flatMap((text) =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as unknown),
  )
}

const lines = (records: readonly unknown[]): string => records.map((r) => `${JSON.stringify(r)}\n`).join('')

describe('examples run by weir run, on two TaskManagers', () => {
  test('word-count counts each word from 1 on', async () => {
    const { output } = await runExample(
      'word-count.ts',
      { 'a.txt': 'To be, or not to be\n', 'b.txt': 'that is TO be decided\n' },
      ['output'],
    )
    const of = (word: string) =>
      output
        ?.filter((c) => c.key === word)
        .map((c) => c.count)
        .toSorted()
    expect(of('to')).toEqual([1, 2, 3])
    expect(of('be')).toEqual([1, 2, 3])
    expect(of('or')).toEqual([1])
    expect(output).toHaveLength(11)
  })

  test('page-views counts a view in each of its windows', async () => {
    const views = [0, 1, 2].map((i) => ({ page: '/', user: `u${i}`, at: 20 * MINUTE + i * 1000 }))
    const { output, late } = await runExample('page-views.ts', { 'a.jsonl': `${lines(views)}no JSON\n` }, [
      'output',
      'late',
    ])
    const byStart = (output ?? []).toSorted((a, b) => (a.from < b.from ? -1 : 1))
    expect(byStart).toEqual(
      [16, 17, 18, 19, 20].map((m) => ({ page: '/', from: new Date(m * MINUTE).toISOString(), count: 3 })),
    )
    expect(late).toEqual([])
  })

  test('failure-rate tells of a minute with too many failures, and of no other', async () => {
    const requests = Array.from({ length: 60 }, (_, i) => ({
      service: i % 2 === 0 ? 'shop' : 'mail',
      status: i % 4 === 0 ? 503 : 200,
      at: 1000 + i,
    }))
    const { output } = await runExample(
      'failure-rate.ts',
      { 'a.jsonl': lines(requests) },
      ['output'],
      ['threshold=0.2'],
    )
    expect(output).toEqual([{ service: 'shop', from: '1970-01-01T00:00:01.000Z', requests: 30, failed: 15 }])
  })
})
