/** Wrong calls of `weir-stream/testing`, and the sentence that each gets. */
import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { blackhole, defineJob, generator, valueState } from 'weir-stream'
import * as kit from 'weir-stream/testing'

const job = defineJob(({ env }) => {
  const numbers = env.source('numbers', generator({ count: 1, make: (n) => n }))
  const state = { sum: valueState(0) }
  numbers
    .keyBy((n) => n)
    .process('step', { state, onRecord() {} })
    .sink('out', blackhole())
})
const sources = { numbers: [1] }
const endless = generator({ make: (n) => n })
const functions = { onRecord() {} }
/** As a test without types would call it. */
const runJob = kit.runJob as (...args: unknown[]) => Promise<unknown>
const harness = kit.harness as (...args: unknown[]) => Promise<any>
const assertConnector = kit.assertConnector as (...args: unknown[]) => Promise<void>
const at = kit.at as (ms: unknown, value: unknown) => unknown
const stepped = async (act: (step: any) => unknown): Promise<unknown> => act(await harness(job, 'step'))

type Misuse = readonly [what: string, act: () => Promise<unknown>, ...sentence: string[]]
const misuses: readonly Misuse[] = [
  [
    'runJob of a path',
    () => runJob('job.ts', { sources }),
    'runJob got "job.ts". Expected a job: the default',
  ],
  ['runJob of nothing', () => runJob(undefined, { sources }), 'runJob got undefined. Expected a job'],
  ['runJob without options', () => runJob(job), 'runJob: its options are undefined', 'sources'],
  ['runJob without sources', () => runJob(job, {}), '"sources" is missing', 'for each of: numbers'],
  ['a source without input', () => runJob(job, { sources: {} }), 'source "numbers" of the job has no input'],
  ['a source too many', () => runJob(job, { sources: { ...sources, x: [] } }), 'the job has no source "x"'],
  [
    'a value for a list',
    () => runJob(job, { sources: { numbers: 5 } }),
    'the input of "numbers" is 5',
    'a list',
  ],
  ['an endless input', () => runJob(job, { sources: { numbers: endless } }), 'is a source that has no end'],
  ['a misspelt option', () => runJob(job, { sources, paralellism: 2 }), 'runJob has no option "paralellism"'],
  [
    'no parallelism',
    () => runJob(job, { sources, parallelism: 0 }),
    'Parallelism 0 is not possible',
    'from 1 to',
  ],
  ['a time in words', async () => at('1s', 1), 'at got "1s". Expected milliseconds, 0 or more'],
  ['harness without a uid', () => harness(job), 'harness got undefined. Expected the uid of a process step'],
  ['harness of no step', () => harness(job, 'stp'), 'no process step "stp". Expected one of: step'],
  ['harness of a source', () => harness(job, 'numbers'), 'no process step "numbers". Expected one of: step'],
  ['harness without a key', () => harness(functions), 'harness got undefined. Expected harness(job, uid) or'],
  [
    'harness with a name as key',
    () => harness(functions, { key: 'id' }),
    'got {"key":"id"}',
    'record => key',
  ],
  [
    'harness without onRecord',
    () => harness({}, { key: Number }),
    'harness got {}. Expected harness(job, uid)',
  ],
  ['harness of nothing', () => harness(undefined, { key: Number }), 'harness got undefined'],
  [
    'a watermark in words',
    () => stepped((s) => s.watermark('1s')),
    'watermark got "1s". Expected milliseconds',
  ],
  [
    'time that goes back',
    () => stepped((s) => s.advance(-5)),
    'advance got -5. Expected milliseconds, 0 or more',
  ],
  ['a record at no time', () => stepped((s) => s.send(1, NaN)), 'send got NaN. Expected milliseconds'],
  [
    'assertConnector of nothing',
    () => assertConnector(),
    'assertConnector got undefined. Expected a source, or',
  ],
  [
    'assertConnector of a text',
    () => assertConnector('x'),
    'assertConnector got "x". Expected a source, or a sink',
  ],
  ['assertConnector of options', () => assertConnector({}), 'assertConnector got {}. Expected a source'],
  [
    'a sink that cannot be judged',
    () => assertConnector(blackhole()),
    'a sink is judged by { record',
    'visible',
  ],
]

describe('a wrong call in a test', () => {
  test.each(misuses.map(([what, act, ...sentence]) => ({ what, act, sentence })))(
    '$what',
    async ({ act, sentence }) => {
      const error: unknown = await act().then(
        () => undefined,
        (cause: unknown) => cause,
      )
      expect(error).toBeInstanceOf(WeirError)
      expect(error).toMatchObject({ code: expect.stringMatching(/^CFG_/) })
      for (const part of sentence) expect(error).toMatchObject({ message: expect.stringContaining(part) })
    },
  )
})
