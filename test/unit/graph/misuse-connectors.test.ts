/** Wrong sources, sinks, options and steps in the wrong place: the sentence that each gets. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe } from 'vitest'
import { checkMisuses, LINE } from '#test/kit/misuse'

const AT = `job.ts:${LINE}:`
const OUT = mkdtempSync(join(tmpdir(), 'weir-misuse-'))
const BAD = join(OUT, 'in.jsonl')
writeFileSync(BAD, '{}\n{oops\n')
afterAll(() => rmSync(OUT, { recursive: true }))

const source = (text: string): string => `end(env.source('s', ${text}))`
const sink = (text: string): string => `numbers(env).sink('o', ${text})`
const written = (record: string): string =>
  `numbers(env).map((n: any) => (${record})).sink('o', weir.files.jsonl(${JSON.stringify(OUT)}))`
const read = (result: string): string =>
  source(`weir.simpleSource({ name: 'feed', bounded: true, read: () => ${result} })`)

describe('what is no source or no sink is refused where it is given', () => {
  checkMisuses(
    [
      ['no source', `env.source('s')`, AT, 'source "s" got undefined. Expected a source: files.lines(path)'],
      ['a path', source(`'in.txt'`), AT, 'source "s" got "in.txt". Expected a source'],
      ['a sink to read', source('blackhole()'), AT, 'got blackhole, which is a sink. Expected a source'],
      ['no sink', `numbers(env).sink('o')`, AT, 'sink "o" got undefined. Expected a sink: files.jsonl(path)'],
      ['a source to write', sink(`weir.files.lines('o')`), AT, 'files.lines(o), which is a source', 'a sink'],
      ['print with a text', sink(`weir.print('x: ')`), AT, 'print: its options are "x: "', 'prefix'],
      ['collect without an array', sink('weir.collect()'), AT, 'Expected the array to put records into'],
      ['a generator of a number', source('generator(5)'), AT, 'generator: its options are 5. Expected'],
      ['a generator of nothing', source('generator()'), AT, 'generator: its options are undefined'],
      ['a generator that makes nothing', source('generator({ make: 5 })'), AT, 'make: (n) => record'],
      [
        'a negative count',
        source('generator({ count: -1, make: later })'),
        AT,
        'count is -1; expected a whole',
      ],
      ['a rate of none', source('generator({ rate: 0, make: later })'), AT, 'rate is 0; expected a number'],
      [
        'a simple source without read',
        source(`weir.simpleSource({ name: 'feed' })`),
        AT,
        'simpleSource feed: read is not a function. Expected read: async function*',
      ],
      [
        'a transactional sink without commit',
        sink(`weir.transactionalSink({ name: 't', prepare: boom })`),
        AT,
        'transactionalSink t: commit is undefined, not a function. Expected prepare: (rows, id) =>',
      ],
    ],
    { code: 'CFG_GRAPH', retry: 'never' },
  )
})

describe('a path or an option that is none is refused where it is given', () => {
  checkMisuses(
    [
      [
        'a number as a path',
        source('weir.files.lines(2024)'),
        AT,
        'files.lines: 2024, a number, is not a path',
        `--arg 'NAME="2024"'`,
      ],
      ['a path of another system', source(`weir.files.lines('kafka://b/t')`), AT, 'speaks kafka://', 'own'],
      ['options that are a text', source(`weir.files.lines('x', '1s')`), AT, 'its options are "1s"'],
      ['a look for files too often', source(`weir.files.lines('x', { watch: '1ms' })`), AT, 'at least 10ms'],
      [
        'an unknown fate of bad lines',
        source(`weir.files.jsonl('x', { onBadLine: 'drop' })`),
        AT,
        `files.jsonl: onBadLine is "drop". Expected 'fail', 'skip' or a side output`,
      ],
      ['a schema of plain lines', source(`weir.files.lines('x', { schema: {} })`), AT, 'no option "schema"'],
      [
        'a schema that is none',
        source(`weir.files.jsonl('x', { schema: { n: 'number' } })`),
        AT,
        'files.jsonl: schema is {"n":"number"}. Expected a Standard Schema, such as z.object',
      ],
      [
        'bad lines of a source that keeps none',
        `numbers(env).getSideOutput(sideOutput('bad'))`,
        AT,
        'or of the source that names it in onBadLine',
      ],
      ['a line of no bytes', source(`weir.files.lines('x', { maxLineBytes: 0 })`), AT, 'maxLineBytes is 0'],
      [
        'a misspelt option of a source',
        source(`weir.files.lines('x', { wach: '1s' })`),
        AT,
        'files.lines has no option "wach". Expected: watch',
      ],
      [
        'a misspelt option of a sink step',
        `numbers(env).sink('o', blackhole(), { formrly: ['x'] })`,
        AT,
        'sink "o" has no option "formrly". Expected: formerly',
      ],
      ['a misspelt option of a state', process(`valueState(0, { til: '1s' })`), AT, 'no option "til"', 'ttl'],
      [
        'a misspelt option of watermarks',
        `end(numbers(env).assignTimestamps((n: any) => n, boundedOutOfOrder('1s', { idle: '1s' })))`,
        AT,
        'no option "idle". Expected: idleAfter',
      ],
      ['a misspelt size', `windows(env, tumbling({ sise: '1s' }))`, AT, 'tumbling has no option "sise"'],
      [
        'a former name that is no list',
        `end(keyed(env).count('c', { formerly: 'counts' }))`,
        AT,
        'count "c": formerly is "counts". Expected a list of the names it had',
      ],
      [
        'late records to a name',
        `end(onTime(env).window('w', tumbling('1s'), { lateTo: 'late' }).count())`,
        AT,
        'window "w": lateTo is "late". Expected a side output: const late = sideOutput(\'late\')',
      ],
      ['a side output by name', `numbers(env).getSideOutput('late')`, AT, 'got is "late"', 'sideOutput('],
      ['a side output without a name', `sideOutput()`, AT, 'A side output needs a name'],
      [
        'a union with a keyed stream',
        `numbers(env).union(keyed(env))`,
        AT,
        'union got a keyed stream. Expected streams: unite them first',
      ],
      ['process without functions', `keyed(env).process('p')`, AT, 'process "p": its options are undefined'],
      ['process without a uid', `keyed(env).process({ onRecord() {} })`, AT, 'is not a uid'],
    ],
    { code: 'CFG_GRAPH', retry: 'never' },
  )
})

function process(state: string): string {
  return `end(keyed(env).process('p', { state: { s: ${state} }, onRecord() {} }))`
}

describe('a duration that is none is refused with its line', () => {
  checkMisuses(
    [
      ['of a look for files', source(`weir.files.lines('x', { watch: '1 s' })`), AT, 'Not a duration: "1 s"'],
      ['that is a number', `boundedOutOfOrder(5)`, AT, 'Not a duration: 5. Expected parts of ms, s, m, h'],
      ['that is missing', `boundedOutOfOrder()`, AT, 'Not a duration: undefined'],
      ['of lateness', `onTime(env).window('w', tumbling('1s'), { allowedLateness: 'a bit' })`, AT, '"a bit"'],
      ['a slide that is missing', `sliding({ size: '1s' })`, AT, 'needs a slide in whole', 'got undefined'],
      ['a window without size', `tumbling()`, AT, 'needs a size in whole milliseconds'],
    ],
    { code: 'CFG_INVALID', retry: 'never' },
  )
})

describe('a step in the wrong place says where it stands', () => {
  const build = "The job's function failed while building the graph"
  checkMisuses(
    [
      [
        'a count without keyBy',
        `numbers(env).count('c')`,
        build,
        AT,
        'count is a step of keyed streams: put .keyBy(record => key) before it',
      ],
      [
        'a sink behind keyBy',
        `numbers(env).keyBy((n: any) => n).sink('o', blackhole())`,
        AT,
        'sink is no step of keyed or windowed streams. Behind keyBy come reduce, count',
      ],
      [
        'a sink behind window',
        `numbers(env).keyBy((n: any) => n).window('w', tumbling('1s')).sink('o', blackhole())`,
        AT,
        'sink is no step of keyed or windowed streams',
        'behind window count, sum, min, max, reduce, aggregate',
      ],
      [
        'a step that there is not',
        `env.from('x')`,
        AT,
        'env.from is not a function',
        'Steps of a stream are map,',
      ],
      ['a name that is not imported', `files.lines('x')`, AT, `import { files } from 'weir-stream'`],
      ['an error of the job itself', `throw new Error('no input')`, build, AT, 'no input'],
    ],
    { code: 'CFG_MODULE', retry: 'never' },
  )
})

describe('what a connector was given or gave, and cannot be used, fails at once with its step', () => {
  checkMisuses(
    [
      ['a bigint', written('{ n: BigInt(n) }'), 'Operator o', 'serialize a BigInt', 'String(n) for a bigint'],
      ['a Map', written('{ a: [new Map()] }'), 'JSON would write a Map at .a[0] as {}', AT, 'fromEntries'],
      ['a Set', written('new Set([n])'), 'JSON would write a Set as {}', 'The record: Set {0}'],
      ['undefined', written('undefined'), 'JSON cannot express undefined', AT],
      ['a circle', written('(() => { const a: any = {}; a.a = a; return a })()'), 'circular structure', AT],
      ['an async make', source('generator({ count: 1, make: later })'), 'the source gave a promise', AT],
      ['records that cannot be walked', read('5'), 'feed: read returned 5. Expected records one after', AT],
      ['a record without a position', read('[{ value: 5 }]'), 'feed: read gave {"value":5}. Expected {', AT],
      [
        'a source that ends and did not say so',
        source(`weir.simpleSource({ name: 'feed', read: () => [] })`),
        'feed: read came to an end. Expected records without end, or bounded: true',
      ],
      [
        'a line that is no JSON',
        source(`weir.files.jsonl(${JSON.stringify(BAD)})`),
        'Operator s, subtask 0 failed: Cannot read ',
        'in.jsonl, line 2: ',
        'in "{oops". Correct the file; or read with onBadLine',
        AT,
      ],
      [
        'a schema that waits',
        source(
          `weir.files.jsonl(${JSON.stringify(BAD)}, ` +
            `{ schema: { '~standard': { version: 1, vendor: 'v', validate: later } } })`,
        ),
        'Operator s, subtask 0 failed: files.jsonl: the schema checks asynchronously',
      ],
      [
        'a function to commit',
        sink(`weir.transactionalSink({ name: 't', prepare: () => boom, commit() {} })`),
        'Operator o, subtask 0 failed: prepare gave a function. It must be plain data',
        AT,
      ],
      [
        'a glob to write to',
        sink(`weir.files.jsonl('out/*.jsonl')`),
        'Operator o, subtask 0 failed: files.jsonl: cannot write to the glob out/*.jsonl',
        AT,
      ],
    ],
    { code: 'USR_FAILED', retry: 'never' },
  )
})

describe('an input that is not there', () => {
  checkMisuses(
    [
      [
        'is named with the place that was looked at',
        source(`weir.files.lines('nowhere/in')`),
        'nowhere/in does not exist: there is no /',
        "a source with watch: '1s' waits for one",
      ],
    ],
    { code: 'STO_MISSING', retry: 'never' },
  )
})
