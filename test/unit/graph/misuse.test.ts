/**
 * Wrong jobs, and the sentence that each gets: what is wrong, in which step, on which line, what to
 * do. They run as they would in a slot, to their end or first failure.
 */
import { describe } from 'vitest'
import { checkMisuses, HEAD, LINE } from '#test/kit/misuse'

const AT = `At job.ts:${LINE}:`
/** In a function of `process`. */
const IN = `At job.ts:${LINE + 1}:`
const PROMISE = 'a promise. Functions of a job do their work within the call, without async'
const DATA = 'It must be plain data: strings, numbers'
const KEY = 'return such a value from keyBy, for example date.getTime() instead of a Date.'
const process = (state: string, onRecord: string) =>
  `end(keyed(env).process('step', { state: { s: ${state} }, onRecord(n: any, context: any) {
     const { state: { s }, out, timers } = context; ${onRecord} } }))`

describe('a job whose graph is wrong is refused before it runs', () => {
  checkMisuses(
    [
      ['no source', '', 'The job is empty', 'Begin with env.source(uid, source)'],
      ['no sink', 'numbers(env)', 'The job has no sink', 'End a stream with .sink(uid, sink)'],
      [
        'a uid used twice',
        `end(keyed(env).count('out'))`,
        'Two steps have the uid "out"',
        `job.ts:${LINE}:`,
        'rename one of them',
      ],
      [
        'a sink without a uid',
        `numbers(env).sink(blackhole())`,
        `job.ts:${LINE}:`,
        'is not a uid',
        'the first argument of sources, sinks and stateful steps',
      ],
      ['a stateful step without a uid', `end(keyed(env).count())`, 'is not a uid', `job.ts:${LINE}:`],
      ['a uid with a blank', `end(keyed(env).count('my count'))`, '"my count" is not a uid'],
      ['a map without a function', `end(numbers(env).map('step'))`, 'map got no function', `job.ts:${LINE}:`],
      [
        'a filter with a value',
        `end(numbers(env).filter(true))`,
        'filter got no function. Expected filter(fn)',
      ],
      [
        'a keyBy with a name',
        `end(numbers(env).keyBy('n').count('step'))`,
        `job.ts:${LINE}:`,
        'keyBy: its argument is "n", not a function. Expected keyBy(record => key)',
      ],
      [
        'a sum with a name',
        `end(keyed(env).sum('step', 'n'))`,
        'sum "step": the function is "n", not a function. Expected sum(uid, record => number)',
        `job.ts:${LINE}:`,
      ],
      [
        'a reduce without a function',
        `end(keyed(env).reduce('step'))`,
        'reduce "step": the function is undefined, not a function. Expected reduce(uid, (a, b) => c)',
        `job.ts:${LINE}:`,
      ],
      [
        'an aggregate without add',
        `end(keyed(env).aggregate('step', { create: () => 0, result: (a: any) => a }))`,
        'aggregate "step": add is undefined, not a function.',
        'Expected aggregate(uid, { create, add, result })',
        `job.ts:${LINE}:`,
      ],
      [
        'an aggregate of windows without merge',
        `end(windows(env).aggregate(aggregator({ merge: undefined })))`,
        'aggregate "step": merge is undefined, not a function. Expected aggregate({ create, add, merge',
      ],
      [
        'a process without onRecord',
        `end(keyed(env).process('step', { state: {} }))`,
        'process "step": onRecord is undefined, not a function.',
      ],
      [
        'a misspelt function of process',
        `end(keyed(env).process('step', { onRecrd() {}, onRecord() {} }))`,
        'onRecrd',
        'process "step"',
      ],
      [
        'a state that is no descriptor',
        `end(keyed(env).process('step', { state: { total: 0 }, onRecord() {} }))`,
        'process "step"',
        'state "total" is 0',
        'valueState(0)',
      ],
      [
        'a misspelt option of a window',
        `end(onTime(env).window('step', tumbling('1s'), { allowdLateness: '1s' }).count())`,
        'allowdLateness',
      ],
      [
        'a window that is none',
        `end(onTime(env).window('step', '10s').count())`,
        'window "step"',
        "tumbling('1m')",
      ],
      [
        'a strategy that is none',
        `end(numbers(env).assignTimestamps((n: number) => n, '5s'))`,
        'assignTimestamps got no strategy',
        "boundedOutOfOrder('10s')",
      ],
      [
        'a window without timestamps',
        `end(keyed(env).window('step', tumbling('10s')).count())`,
        /Window "step" \(job\.ts:\d+:\d+\) gets records without timestamps from source "numbers"/,
        'Call assignTimestamps(record => milliseconds, strategy) between them.',
      ],
      [
        'a window of which one input is without timestamps',
        `const all = numbers(env)
        const timed = all.assignTimestamps((n: number) => n, monotonous())
        end(timed.union(all).keyBy(() => 1).window('step', tumbling('1s')).count())`,
        'Window "step"',
        'without timestamps from source "numbers"',
      ],
      [
        'a side output that nothing writes to',
        `end(numbers(env).getSideOutput(sideOutput('late')))`,
        'does not write to side output "late"',
        `job.ts:${LINE}:`,
      ],
      [
        'two states that had one name',
        `const state = { a: valueState(0, { formerly: ['x'] }), b: valueState(0, { formerly: ['x'] }) }
        end(keyed(env).process('step', { state, onRecord() {} }))`,
        'process "step": state "b" was formerly "x", which "a" was too',
        'Only one of them can have what is stored',
      ],
      [
        'a state that was another one',
        `const state = { a: valueState(0), b: valueState(0, { formerly: ['a'] }) }
        end(keyed(env).process('step', { state, onRecord() {} }))`,
        'state "b" was formerly "a", which is also a state of this step',
      ],
      ['a parallelism of none', `end(numbers(env)).setParallelism(0)`, 'has parallelism 0', '"out"'],
      [
        'an asynchronous job function',
        `return later(1)`,
        "The job's function is asynchronous. Expected a function that builds the graph at once",
      ],
    ],
    { code: 'CFG_GRAPH', retry: 'never' },
  )
})

describe('a value that is no duration, or makes no window, is refused', () => {
  checkMisuses(
    [
      ['a window of words', `tumbling('ten')`, 'Not a duration: "ten"', '"500ms", "10s" or "1h30m"'],
      ['a bound of words', `boundedOutOfOrder('10 seconds')`, 'Not a duration: "10 seconds"'],
      ['a ttl in days', `valueState(0, { ttl: '1d' })`, 'Not a duration: "1d"'],
      ['a window of nothing', `tumbling('0s')`, 'both must be longer than 0'],
      ['windows with gaps', `sliding({ size: '1s', slide: '2s' })`, 'Expected slide <= size'],
    ],
    { code: 'CFG_INVALID', retry: 'never' },
  )
})

describe('a function that is async is refused with its first record', () => {
  const after = (what: string): string => `${what} ${PROMISE}`
  checkMisuses(
    [
      ['map', `end(numbers(env).map('step', later))`, 'Operator step, subtask 0', after('map returned')],
      ['map without a uid', `end(numbers(env).map(later))`, 'Operator map.1', AT, after('map returned')],
      ['filter', `end(numbers(env).filter('step', later))`, after('filter returned'), 'The record: 0.'],
      ['flatMap', `end(numbers(env).flatMap('step', later))`, after('flatMap returned'), AT],
      ['keyBy', `end(numbers(env).keyBy(later).count('step'))`, 'Operator step', after('keyBy returned')],
      [
        'reduce',
        `end(numbers(env).keyBy(() => 1).reduce('step', later))`,
        after('reduce returned'),
        'The record: 1.',
      ],
      ['sum', `end(keyed(env).sum('step', later))`, 'Operator step', after('sum returned')],
      ['onRecord', `end(keyed(env).process('step', { onRecord: later }))`, after('onRecord returned'), AT],
      ['state', process('valueState()', 's.set(later(1))'), after('set was given'), IN],
      ['out', process('valueState()', 'out(later(1))'), after('out was given')],
    ],
    { code: 'USR_FAILED', retry: 'never' },
  )
})

describe('what cannot be a key is refused with the record', () => {
  const by = (key: string) => `end(numbers(env).keyBy((n: any) => ${key}).count('step'))`
  checkMisuses(
    [
      ['a Date', by('new Date(n)'), 'Operator step', AT, 'Cannot use a Date as', KEY, 'The record: 0.'],
      ['undefined', by('n.missing'), 'Cannot use undefined as', KEY, AT],
      ['NaN', by('n / "a"'), 'Cannot use NaN as', KEY],
      ['a Map', by('({ parts: new Map() })'), 'Cannot use a Map as', KEY],
      ['a function', by('() => n'), 'Cannot use a function as', KEY],
      ['a symbol', by('Symbol("s")'), 'Cannot use a symbol as', KEY],
      ['an instance of a class', by('new Meter()'), 'Cannot use a Meter as', KEY],
      ['bytes', by('new Uint8Array(2)'), 'Cannot use a Uint8Array as', KEY],
    ],
    { code: 'USR_FAILED', retry: 'never' },
  )
})

describe('what no checkpoint can hold is refused where it is first written', () => {
  const step = 'Operator step, subtask 0 failed: state "s" cannot hold'
  checkMisuses(
    [
      ['a function', process('valueState()', 's.set(() => 1)'), `${step} a function`, DATA, IN],
      [
        'a function inside',
        process('valueState()', 's.set({ a: [{ f: later }] })'),
        `${step} a function at .a[0].f`,
      ],
      [
        'an instance',
        process('valueState()', 's.set(new Meter())'),
        `${step} an instance of Meter, a class with methods`,
      ],
      ['a symbol', process('valueState()', 's.set({ s: Symbol("s") })'), `${step} a symbol at .s`],
      [
        'a circle',
        process('valueState()', 'const a: any = {}; a.a = a; s.set(a)'),
        `${step} itself at .a, a circle`,
      ],
      ['a WeakMap', process('valueState()', 's.set(new WeakMap())'), `${step} an instance of WeakMap`],
      ['a URL', process('valueState()', 's.set(new URL("http://a"))'), `${step} an instance of URL`],
      ['an item of a list', process('listState()', 's.add(1); s.add(() => 1)'), `${step} a function`, DATA],
      ['a whole list', process('listState()', 's.set([() => 1])'), `${step} a function at [0]`],
      ['a value of a map', process('mapState()', 's.put("a", new Meter())'), `${step} an instance of Meter`],
      [
        'a map by objects',
        process('mapState()', 's.put({ a: 1 }, 1)'),
        'a mapState was used with the key {"a":1}. Expected a string, number',
        IN,
      ],
      [
        'a reduced record',
        `end(numbers(env).map(() => new Meter()).keyBy(() => 1).reduce('step', (a: any) => a))`,
        'Operator step, subtask 0 failed: its state (running) cannot hold an instance of Meter',
        'The record: Meter {"n":0}.',
      ],
      [
        'an accumulator of a window',
        `end(windows(env).aggregate(aggregator({ add: () => new Meter() })))`,
        'Operator step, subtask 0 failed: its state (panes) cannot hold an instance of Meter',
      ],
    ],
    { code: 'USR_FAILED', retry: 'never' },
  )
})

describe('a function that gives nothing usable is refused', () => {
  checkMisuses(
    [
      [
        'reduce without return',
        `end(numbers(env).keyBy(() => 1).reduce('step', () => {}))`,
        'reduce returned undefined',
      ],
      [
        'add without return',
        `end(keyed(env).aggregate('step', { create: () => 0, add() {}, result: (a: any) => a }))`,
        'Operator step, subtask 0 failed: add returned undefined: expected the accumulator',
      ],
      [
        'filter without return',
        `end(numbers(env).filter('step', () => {}))`,
        'filter returned undefined: expected true or false',
      ],
      [
        'flatMap without return',
        `end(numbers(env).flatMap('step', () => {}))`,
        'flatMap returned undefined: expected an array',
      ],
      ['a sum of text', `end(keyed(env).sum('step', String))`, 'sum returned "0": expected a number', AT],
      [
        'a sum of a missing member',
        `end(keyed(env).sum('step', (n: any) => n.price))`,
        'sum returned undefined: expected a number',
      ],
      ['a minimum of NaN', `end(keyed(env).min('step', () => NaN))`, 'min returned NaN: expected a number'],
      [
        'a timestamp of text',
        `end(numbers(env).assignTimestamps((n: number) => '2024-01-01', monotonous()))`,
        'Operator assignTimestamps.1, subtask 0 failed: assignTimestamps returned a string, "2024-01-01".',
        'Expected milliseconds since the epoch',
        AT,
        'The record: 0.',
      ],
      [
        'a timestamp that is missing',
        `end(numbers(env).assignTimestamps((n: any) => n.at, monotonous()))`,
        'assignTimestamps returned a undefined',
      ],
      [
        'a timer at no time',
        process('valueState()', 'timers.setEventTimer(NaN)'),
        'Cannot set a timer for NaN',
        IN,
      ],
    ],
    { code: 'USR_FAILED', retry: 'never' },
  )
})

/** It throws on a line of the head. */
const BOOM = `At job.ts:${HEAD.split('\n').findIndex((line) => line.includes('boom')) + 1}:`

describe('what a function throws names its step, line and record', () => {
  const thrown = ['failed: boom.', BOOM, 'No record is skipped: mend the function'] as const
  const ofSink = (part: string) => `numbers(env).sink('step', sinkOf({ ${part}: boom }))`
  const timer = `end(keyed(env).process('step', {
    onRecord: (n: any, { timers }: any) => timers.setEventTimer(5), onTimer: boom }))`
  const merging = `const panes = windows(env, sliding({ size: '2ms', slide: '1ms' }))
    end(panes.aggregate(aggregator({ merge: boom })))`
  const named = ['Operator step, subtask 0', ...thrown] as const
  checkMisuses(
    [
      ['map', `end(numbers(env).map('step', boom))`, ...named, 'The record: 0.'],
      [
        'a map in a chain',
        `end(numbers(env).map((n: any) => ({ n })).map('step', boom))`,
        ...named,
        'The record: {"n":0}.',
      ],
      ['keyBy', `end(numbers(env).keyBy(boom).count('step'))`, ...named],
      ['a timer', timer, ...named, /The timer: .*"time":5/],
      [
        'the result of a window',
        `end(windows(env).aggregate(aggregator({ result: boom })))`,
        ...named,
        /The window: \{"key":"k","window":\{"start":0,"end":1000\}/,
      ],
      ['the merge of a window', merging, ...named, 'The window: {"key":"k"'],
      [
        'a source',
        `env.source('step', generator({ count: 1, make: boom })).sink('o', blackhole())`,
        ...named,
      ],
      ['the write of a sink', ofSink('write'), ...named, 'The record: 0.'],
      ['the flush of a sink', ofSink('flush'), ...named],
      ['the pause of a sink', ofSink('isBusy'), ...named],
      ['the begin of a sink', ofSink('begin'), ...named],
      ['the commit of a sink', ofSink('commit'), ...named],
    ],
    { code: 'USR_FAILED', retry: 'restart-job' },
  )
})
