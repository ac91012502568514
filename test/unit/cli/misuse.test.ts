/**
 * Wrong command lines and the files they name: the sentence that each gets, the exit code, and no
 * stack.
 */
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EXIT } from '#cli/exit-codes'
import { weir } from '#test/kit/cli'

const WORD_COUNT = `import { defineJob, files } from 'weir-stream'
export default defineJob(({ env, args }) => {
  env.source('lines', files.lines(args.input)).sink('out', files.jsonl(args.output))
})
`
const WITH_SCHEMA = `import * as z from 'zod'
import { defineJob, files } from 'weir-stream'
const tags = z.array(z.string()).default([])
const args = z.strictObject({ input: z.string(), limit: z.number().max(9), tags })
export default defineJob({ args }, ({ env, args }) => {
  env.source('lines', files.lines(args.input)).sink('out', files.jsonl('out'))
})
`
const JOB = "import { defineJob } from 'weir-stream'\n"
const MANIFEST = 'apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: NAME}\n'
const named = (name: string, spec: string): string => `${MANIFEST.replace('NAME', name)}spec: ${spec}\n`

const FILES: Readonly<Record<string, string>> = {
  'wc.ts': WORD_COUNT,
  'schema.ts': WITH_SCHEMA,
  'async-schema.ts': `${JOB}const validate = async () => ({ value: 1 })
const args = { '~standard': { version: 1, vendor: 'v', validate } }
export default defineJob({ args }, () => {})\n`,
  'no-schema.ts': `${JOB}export default defineJob({ args: { input: 'string' } }, () => {})\n`,
  'empty.ts': '',
  'five.ts': 'export default 5\n',
  'no-import.ts': 'export default defineJob(() => {})\n',
  'named.ts': `${JOB}export const job = defineJob(() => {})\n`,
  'kafka.ts': `import { kafka } from 'weir-stream'\n`,
  'package.ts': `import _ from 'lodash-that-is-not-there/fp'\n`,
  'part.ts': `import { x } from 'weir-stream/connectors'\n`,
  'url.ts': `import x from 'https://example.com/x.js'\n`,
  'relative.ts': `import { helper } from './helper.ts'\nhelper()\n`,
  'syntax.ts': `${JOB}export default defineJob(() => {\n  const a = (1\n})\n`,
  'enum.ts': 'enum Color { Red }\n',
  'exit.ts': `${JOB}export default defineJob(() => { process.exit(7) })\n`,
  'throws.ts': `${JOB}throw new Error('no licence')\n`,
  'top.ts': `import { tumbling } from 'weir-stream'\nconst windows = tumbling('ten')\n`,
  'job.txt': 'x',
  'bad.yaml': 'a: [',
  'pod.yaml': 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n',
  'empty.json': '{}',
  'two.yaml': `${named('a', '{job: {module: wc.ts}}')}---\n${named('b', '{job: {module: wc.ts}}')}`,
  'no-job.yaml': named('a', '{}'),
  'misspelt.yaml': named('a', '{job: {module: wc.ts}, paralellism: 2}'),
  'interval.yaml': named('a', '{job: {module: wc.ts}, checkpoint: {interval: 10}}'),
  'config-map.yaml': named('a', '{job: {configMapKeyRef: {name: jobs, key: a.ts}}}'),
  'savepoint.yaml': named('a', '{job: {module: wc.ts}, restore: {savepointRef: {name: before}}}'),
}

let cwd = ''
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'weir-cli-misuse-'))
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(cwd, name), text)
  mkdirSync(join(cwd, 'folder'))
})
afterAll(() => rmSync(cwd, { recursive: true }))

type Misuse = readonly [line: string, ...sentence: string[]]

function check(code: number, misuses: readonly Misuse[]): void {
  test.each(misuses.map(([line, ...sentence]) => ({ line, sentence })))(
    'weir $line',
    async ({ line, sentence }) => {
      const answer = await weir(cwd, ...line.split(' ').filter((word) => word !== ''))
      for (const part of sentence) expect(answer.text).toContain(part)
      expect(answer.text).not.toMatch(/^\s+at /m)
      expect(answer.code).toBe(code)
    },
  )
}

const HELP = '--help after a command shows its arguments and options'
const IO = '--arg input=in --arg output=out'

describe('a command, option or argument that there is not', () => {
  check(EXIT.badInput, [
    ['rnu wc.ts', "unknown command 'rnu'", 'Did you mean run?', HELP],
    ['run', "missing required argument 'file'", HELP],
    ['run wc.ts more', "too many arguments for 'run'", 'wc.ts, more'],
    ['run wc.ts --paralellism 2', "unknown option '--paralellism'", 'Did you mean --parallelism?'],
    ['run wc.ts --slots two', "argument 'two' is invalid. Expected a whole number, 1 or more"],
    ['run wc.ts --task-managers 0', "argument '0' is invalid", '1 or more'],
    ['run wc.ts --parallelism 1.5', "argument '1.5' is invalid", 'a whole number'],
    ['run wc.ts --checkpoint-interval 10', 'Not a duration: "10"', '"500ms", "10s"'],
    ['run wc.ts --arg', "option '--arg <key=value>' argument missing"],
    [
      `run wc.ts ${IO} --name Bad_Name`,
      'Not a job name: "Bad_Name"',
      'lower-case letters, digits and dashes',
    ],
    ['status -o yaml', "argument 'yaml' is invalid. Allowed choices are text, json"],
    ['status Bad_Name', 'Not a job name: "Bad_Name"'],
    ['status', 'Which job? There is none under .weir/ here', 'weir run job.ts'],
    ['stop --timeout soon wc', 'Not a duration: "soon"'],
    ['checkpoints lst', "unknown command 'lst'", 'Did you mean list?'],
    ['checkpoints show wc newest', "value 'newest' is invalid for argument 'id'"],
    ['completion fsh', 'There is no completion for fsh. Expected one of: bash, zsh, fish'],
    ['restart wc', 'wc is a local job: stop it, and run it again. For a StreamJob say stj/wc'],
    ['restore wc', "missing required argument 'savepoint'"],
    ['init job.txt', 'EEXIST', 'Choose a directory that does not exist yet'],
    [
      'status stj/orders --kubeconfig nowhere',
      'Cannot read the kubeconfig: ENOENT',
      'by --kubeconfig or KUBECONFIG',
    ],
  ])
})

describe('a file that is no job', () => {
  check(EXIT.badInput, [
    ['run nowhere.ts', 'There is no file nowhere.ts', 'such as job.ts'],
    ['run folder', 'folder is not a file', 'such as job.ts'],
    ['run job.txt', 'Cannot tell what job.txt is', '.ts, .mts, .js, .mjs'],
    ['plan empty.ts', 'the default export is missing. Expected: export default defineJob('],
    ['plan five.ts', 'the default export is not a job'],
    ['plan named.ts', 'the default export is missing'],
    [
      'plan no-import.ts',
      'no-import.ts:1:1',
      "Is its import missing? import { defineJob } from 'weir-stream'",
    ],
    [
      'plan kafka.ts',
      'kafka.ts:1:10',
      "does not provide an export named 'kafka'. It has WeirError, aggregatingState, blackhole",
      'A type is imported by: import type',
    ],
    [
      'plan package.ts',
      'package.ts:1: cannot import "lodash-that-is-not-there/fp"',
      'Install it there (npm install lodash-that-is-not-there), or bundle it',
    ],
    ['plan part.ts', 'this version of weir-stream has no such part'],
    ['plan url.ts', 'expected "weir-stream", a node: module or an installed package'],
    ['plan relative.ts', 'relative.ts:1', './helper.ts'],
    ['plan syntax.ts', 'syntax.ts:4:1'],
    ['plan enum.ts', 'enum.ts:1:1', 'use a union of strings for an enum'],
    ['plan exit.ts', 'exit.ts ended the process (code 7)', 'must only build the graph'],
    ['plan throws.ts', 'throws.ts:2:7', 'failed when it was evaluated: no licence'],
    ['plan top.ts', 'top.ts:2:17: Not a duration: "ten"'],
    ['run bad.yaml', 'bad.yaml is not valid', 'document 1: ', 'line 1, column 5\n'],
    ['run pod.yaml', 'has no object of weir.dev/v1alpha1. Expected a StreamJob'],
    ['run empty.json', 'not a Kubernetes object: apiVersion and kind are needed'],
    ['run two.yaml', 'has several StreamJobs: a, b', 'Name one by --name'],
    ['run no-job.yaml', 'spec.job'],
    ['run misspelt.yaml', 'paralellism'],
    ['run interval.yaml', 'spec.checkpoint.interval: must be a duration of ms, s, m, h parts such as'],
    ['run config-map.yaml', 'exists only on a cluster', 'weir run job.ts'],
    ['run savepoint.yaml', 'the Savepoint object before, which exists only on a cluster', '--from'],
  ])
})

describe('arguments of a job that it cannot take', () => {
  check(EXIT.badInput, [
    ['plan wc.ts --arg input', 'Not an argument: "input". Expected key=value, such as --arg input=data/'],
    ['plan wc.ts --arg =x', 'Not an argument: "=x"'],
    ['plan wc.ts --arg a..b=1', 'Not an argument: "a..b=1"'],
    [
      'plan wc.ts',
      'wc.ts:3:29: files.lines: undefined is not a path',
      'It asked for args.input, which was not given: pass --arg input=VALUE, or set it under spec.job.args',
    ],
    [
      'plan wc.ts --arg input=2024 --arg output=o',
      'files.lines: 2024, a number, is not a path',
      `--arg 'NAME="2024"'`,
    ],
    ['plan wc.ts --arg inptu=a --arg output=o', 'args.input, which was not given'],
    [
      'plan schema.ts',
      'have 2 problems',
      'args.input: ',
      '(pass --arg input=VALUE, or set it under spec.job.args)',
      'args.limit: ',
    ],
    ['plan schema.ts --arg input=2024 --arg limit=5', 'args.input: ', `(as text: --arg 'input="2024"')`],
    ['plan schema.ts --arg input=a --arg limit=10', 'args.limit: ', '<=9'],
    ['plan schema.ts --arg input=a --arg limit=five', 'args.limit: ', 'expected number, received string'],
    [
      'plan schema.ts --arg input=a --arg limit=5 --arg tags=[1]',
      'args.tags[0]: Invalid input: expected string, received number\n',
    ],
    ['plan schema.ts --arg input=a --arg limit=5 --arg lmit=6', 'lmit'],
    ['plan async-schema.ts', 'The schema of the arguments checks asynchronously. Expected a schema that'],
    ['plan no-schema.ts', 'The option args of defineJob is not a Standard Schema. Expected a schema of zod'],
  ])
})

describe('what a run cannot start from, or with', () => {
  check(EXIT.badInput, [
    [
      `run wc.ts ${IO} --parallelism 99`,
      'The job needs 99 slots, for the parallelism of "lines", and this run has 4',
      'Lower the parallelism, or raise --task-managers or --slots',
    ],
    [`run wc.ts ${IO} --from nowhere`, 'there is no file:///', 'Give the directory of a savepoint or the'],
    [`run wc.ts ${IO} --from ftp://a/b`, 'Not a storage URL: "ftp://a/b". Expected s3://bucket/key or file'],
    [`run wc.ts ${IO} --from s3://`, 'Not a storage URL: "s3://"'],
    [`run wc.ts ${IO} --state-dir job.txt`, 'Cannot write the state directory', '--state-dir'],
    ['checkpoints verify --path ftp://x', 'Not a storage URL: "ftp://x"'],
  ])
})

describe('a job or a savepoint that there is not', () => {
  const next = ['There is no local job nowhere', 'stj/nowhere; local jobs are listed by: weir list'] as const
  check(EXIT.notFound, [
    ['status nowhere', ...next],
    ['stop nowhere', ...next],
    ['savepoint nowhere', ...next],
    ['savepoints nowhere', ...next],
    ['restore nowhere /x', ...next],
    ['checkpoints list nowhere', ...next],
    ['checkpoints verify --path nowhere', '/nowhere/manifest.json does not exist'],
  ])
})
