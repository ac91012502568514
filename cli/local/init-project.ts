import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { systemCode } from '#runtime/base/errors'
import { VERSION } from '#runtime/contract/version'
import { badInput } from '#cli/cli-error'
import { shellWords } from '#cli/shell-words'
import { nameOf } from './job-file.ts'

const ELSEWHERE = 'Choose a directory that does not exist yet, or an empty one.'

/**
 * Writes a project into `dir`, and says what to type next.
 * @throws {CliError} when a file of the project is there already; then nothing is written
 */
export function initProject(dir: string, cwd: string): string {
  const root = resolve(cwd, dir)
  const files = projectFiles(nameOf(basename(root)))
  const present = Object.keys(files).filter((path) => existsSync(join(root, path)))
  if (present.length > 0)
    throw badInput(`Cannot make a project in ${root}: it has ${present.join(', ')} already.`, ELSEWHERE)
  try {
    mkdirSync(root, { recursive: true })
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), text, { flag: 'wx' })
    }
  } catch (error) {
    throw badInput(`Cannot make a project in ${root}: ${systemCode(error) ?? String(error)}.`, ELSEWHERE)
  }
  return [
    `Made ${Object.keys(files).join(', ')} in ${root}. Go on with:`,
    `  ${shellWords(['cd', dir], cwd)} && npm install`,
    '  npm test',
    '  npm start',
  ].join('\n')
}

const projectFiles = (name: string): Readonly<Record<string, string>> => ({
  'package.json': `${JSON.stringify(packageOf(name), null, 2)}\n`,
  'tsconfig.json': `${JSON.stringify(TSCONFIG, null, 2)}\n`,
  'job.ts': JOB,
  'job.test.ts': TEST,
  'data/words.txt': 'the quick brown fox\njumps over the lazy dog\n',
  [`${name}.yaml`]: manifestOf(name),
  Dockerfile: 'FROM weir:latest\nCOPY job.ts /job/job.ts\n',
  '.gitignore': 'node_modules/\n.weir/\nout/\n',
})

const packageOf = (name: string): object => ({
  name,
  private: true,
  type: 'module',
  scripts: {
    start: 'weir run job.ts --arg input=data --arg output=out',
    test: 'node --test',
    check: 'tsc',
  },
  dependencies: { 'weir-stream': VERSION },
  devDependencies: { '@types/node': '^24.0.0', typescript: '^7.0.0' },
  engines: { node: '>=24' },
})

const TSCONFIG = {
  compilerOptions: {
    target: 'es2024',
    module: 'nodenext',
    strict: true,
    noEmit: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    types: ['node'],
  },
}

const JOB = `import { defineJob, files } from 'weir-stream'

/** Counts words: a line {"key": word, "count": n} for each occurrence. */
export default defineJob(({ env, args }) => {
  env
    .source('lines', files.lines(args.input))
    .flatMap('words', (line) => line.toLowerCase().match(/[a-z]+/g) ?? [])
    .keyBy((word) => word)
    .count('count')
    .sink('out', files.jsonl(args.output))
})
`

const TEST = `import { deepEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { runJob } from 'weir-stream/testing'
import job from './job.ts'

test('counts words', async () => {
  const args = { input: 'not read', output: 'not written' }
  const { sinks } = await runJob(job, { args, sources: { lines: ['The cat', 'the dog'] } })
  deepEqual(sinks.out, [
    { key: 'the', count: 1 },
    { key: 'cat', count: 1 },
    { key: 'the', count: 2 },
    { key: 'dog', count: 1 },
  ])
})
`

const manifestOf = (name: string): string => `apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {name: ${name}}
spec:
  image: ${name}:latest       # the Dockerfile here, built and pushed to where the cluster can pull it
  job:
    module: /job/job.ts
    args: {input: s3://data/in/, output: s3://data/out/}
  taskManager: {replicas: 2, slots: 2}
  checkpoint: {interval: 10s}
`
