import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { VERSION } from '#runtime/contract/version'
import { repositoryRoot } from '#tools/repository-root'
import { startS3 } from '#tools/servers/s3'
import { tempDir } from '#tools/servers/temp-dir'
import { type ProgramResult, runProgram } from '../../scripts/program.ts'

const JOB = `import { defineJob, files } from 'weir-stream'

export default defineJob(({ env, args }) => {
  env
    .source('lines', files.lines(args.input))
    .flatMap('words', (line: string) => line.toLowerCase().match(/[a-z]+/g) ?? [])
    .keyBy((word) => word)
    .count('count')
    .sink('out', files.jsonl(args.output))
})
`
/** A whole compilation and an installation, on a machine that may be busy. */
const BUILD_AND_INSTALL_MS = 600_000
const TEXT = 'the quick brown fox\njumps over the lazy dog\nthe end\n'

describe('the packed package, installed elsewhere', () => {
  let dir: { path: string; remove(): Promise<void> }
  const run = (file: string, args: readonly string[], cwd = dir.path): Promise<ProgramResult> =>
    runProgram(file, args, { cwd })
  const weir = (
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<ProgramResult> =>
    runProgram(process.execPath, [join(dir.path, 'node_modules/.bin/weir'), ...args], { cwd: dir.path, env })

  beforeAll(async () => {
    dir = await tempDir('pack')
    expectSuccess(await run('npm', ['pack', '--pack-destination', dir.path], repositoryRoot))
    const tarball = (await readdir(dir.path)).find((name) => name.endsWith('.tgz')) ?? 'no tarball'
    await writeFile(
      join(dir.path, 'package.json'),
      JSON.stringify({ name: 'consumer', private: true, type: 'module' }),
    )
    expectSuccess(
      await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', join(dir.path, tarball)]),
    )
  }, BUILD_AND_INSTALL_MS)
  afterAll(() => dir.remove())

  test('knows its version', async () => {
    expect((await weir(['--version'])).output.trim()).toContain(VERSION)
  })

  test('runs a bounded job with its own command and interface', async () => {
    await writeFile(join(dir.path, 'job.ts'), JOB)
    await writeFile(join(dir.path, 'input.txt'), TEXT)
    expectSuccess(await weir(['run', 'job.ts', '--arg', 'input=input.txt', '--arg', 'output=out/']))
    expect(await counts(join(dir.path, 'out'))).toEqual(countWords(TEXT))
  })

  test.each([
    'operator/main',
    'runtime/bin/job-manager',
    'runtime/bin/task-manager',
    'scripts/quickstart-init',
  ])('%s, an entry of the image, is whole and refuses to start without its configuration', async (entry) => {
    const path = join(dir.path, 'node_modules/weir-stream/dist', `${entry}.js`)
    const { code, output } = await run(process.execPath, [path])
    expect(output).not.toContain('ERR_')
    expect(code, output).toBe(2)
  })

  test('takes up less than 60 MB, with all that it depends on', async () => {
    const { output } = await run('du', ['-sm', 'node_modules'])
    const megabytes = Number(/^\d+/.exec(output)?.[0])
    expect(megabytes).toBeGreaterThan(5)
    expect(megabytes).toBeLessThan(60)
  })

  test('reads a cluster by a kubeconfig, and says so when it does not answer', async () => {
    const named = (kind: string, value: object) => [{ name: 'here', [kind]: value }]
    const config = {
      clusters: named('cluster', { server: 'https://127.0.0.1:1' }),
      users: named('user', { token: 't' }),
      contexts: named('context', { cluster: 'here', user: 'here' }),
      'current-context': 'here',
    }
    await writeFile(join(dir.path, 'kubeconfig'), JSON.stringify(config))
    const result = await weir(['status', 'stj/orders', '--kubeconfig', 'kubeconfig'])
    expect(result.output).toContain('Cannot reach the cluster at https://127.0.0.1:1: ECONNREFUSED.')
    expect(result.code).toBe(1)
  })

  test('writes to S3', async () => {
    await using server = await startS3()
    const bucket = await server.bucket('packed')
    const manifest = {
      apiVersion: 'weir.dev/v1alpha1',
      kind: 'StreamJob',
      metadata: { name: 'to-s3' },
      spec: {
        job: { inline: JOB, args: { input: 'input.txt', output: `s3://${bucket}/out/` } },
        storage: { s3: { bucket, endpoint: server.endpoint, forcePathStyle: true } },
      },
    }
    await writeFile(join(dir.path, 'to-s3.json'), JSON.stringify(manifest))
    await writeFile(join(dir.path, 'input.txt'), TEXT)
    const environment = {
      AWS_ACCESS_KEY_ID: server.accessKey,
      AWS_SECRET_ACCESS_KEY: server.secretKey,
    }
    expectSuccess(await weir(['run', 'to-s3.json'], environment))
    expect(await counts(join(server.dir, 'packed/out'))).toEqual(countWords(TEXT))
  })

  test('bundles a job of several files and packages, and runs the bundle', async () => {
    await mkdir(join(dir.path, 'src'), { recursive: true })
    await writeFile(
      join(dir.path, 'src/several.ts'),
      JOB.replace('/[a-z]+/g', 'WORD').replace('\n', "\nimport { WORD } from './word.ts'\n"),
    )
    await writeFile(
      join(dir.path, 'src/word.ts'),
      "import * as z from 'zod'\nexport const WORD: RegExp = z.instanceof(RegExp).parse(/[a-z]+/g)\n",
    )
    await writeFile(join(dir.path, 'input.txt'), TEXT)
    const built = await weir(['build', 'src/several.ts', '-o', 'dist/several.mjs'])
    expectSuccess(built)
    expect(built.output).toMatch(/^dist\/several\.mjs: .* modules\npackages in it: zod \d/)
    const args = ['--arg', 'input=input.txt', '--arg']
    for (const file of ['dist/several.mjs', 'src/several.ts']) {
      const output = `out-of-${file.replace('/', '-')}`
      const name = ['--name', output.replaceAll('.', '-')]
      expectSuccess(await weir(['run', file, ...name, ...args, `output=${output}`]))
      expect(await counts(join(dir.path, output))).toEqual(countWords(TEXT))
    }
  })

  test('brings types that a strict project accepts', async () => {
    await writeFile(join(dir.path, 'typed.ts'), JOB)
    const options = {
      strict: true,
      module: 'nodenext',
      moduleResolution: 'nodenext',
      target: 'es2024',
      noEmit: true,
      skipLibCheck: false,
      types: [],
    }
    await writeFile(
      join(dir.path, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...options, skipLibCheck: true }, files: ['typed.ts'] }),
    )
    expectSuccess(
      await run(process.execPath, [join(repositoryRoot, 'node_modules/typescript/bin/tsc'), '-p', dir.path]),
    )
  })

  test('brings the test kit: the tests of the documentation run with it', async () => {
    const page = await readFile(join(repositoryRoot, 'docs/writing-jobs.md'), 'utf8')
    const programs = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? '')
    const program = (mark: string) =>
      programs.find((text) => text.includes(mark)) ?? `no program with ${mark}`
    await writeFile(join(dir.path, 'spending.ts'), program(".process('spending'"))
    await writeFile(join(dir.path, 'spending.test.ts'), program("from 'weir-stream/testing'"))
    const result = await run(process.execPath, ['--test', 'spending.test.ts'])
    expectSuccess(result)
    expect(result.output).toContain('pass 2')
  })

  test('makes a project whose test and job run at once, and never replaces a file', async () => {
    expectSuccess(await weir(['init', 'shop']))
    const shop = join(dir.path, 'shop')
    expectSuccess(await run(process.execPath, ['--test'], shop))
    const job = join(dir.path, 'node_modules/.bin/weir')
    const args = ['run', 'job.ts', '--arg', 'input=data', '--arg', 'output=out']
    expectSuccess(await run(process.execPath, [job, ...args], shop))
    expect(await counts(join(shop, 'out'))).toMatchObject({ the: 2, quick: 1 })
    const again = await weir(['init', 'shop'])
    expect(again).toMatchObject({ code: 2, output: expect.stringContaining('Cannot make a project in') })
  })

  test('contains no sources, tests or scripts', async () => {
    const top = await readdir(join(dir.path, 'node_modules/weir-stream'))
    expect(
      top.filter((name) => ['runtime', 'operator', 'cli', 'sim', 'test', 'scripts', 'bench'].includes(name)),
    ).toEqual([])
    expect(top).toContain('LICENSE')
  })
})

function expectSuccess({ code, output }: ProgramResult): void {
  if (code !== 0) throw new Error(`exit code ${code}\n${output}`)
}

/** The last count of each word in committed files. */
async function counts(output: string): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const name of (await readdir(output, { recursive: true })).filter((path) => path.endsWith('.jsonl')))
    for (const line of (await readFile(join(output, name), 'utf8'))
      .split('\n')
      .filter((text) => text !== '')) {
      const { key, count } = JSON.parse(line) as { key: string; count: number }
      found[key] = Math.max(found[key] ?? 0, count)
    }
  return found
}

const countWords = (text: string): Record<string, number> => {
  const found: Record<string, number> = {}
  for (const word of text.toLowerCase().match(/[a-z]+/g) ?? []) found[word] = (found[word] ?? 0) + 1
  return found
}
