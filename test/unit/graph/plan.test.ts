import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { WeirError } from '#runtime/base/errors'
import { blackhole } from '#runtime/connectors/blackhole/sink'
import { collect } from '#runtime/connectors/collect/sink'
import { files } from '#runtime/connectors/files/index'
import { generator } from '#runtime/connectors/generator/source'
import type { Environment } from '#runtime/graph/environment'
import { buildPlan, bindPlan } from '#runtime/graph/execution-plan'
import { instancesOf } from '#runtime/graph/instantiate'
import { buildGraph, defineJob } from '#runtime/graph/job-definition'
import { formatPlan } from '#runtime/graph/plan-text'

const numbers = generator({ count: 10, make: (n) => n })
const graphOf = (build: (env: Environment) => unknown) =>
  buildGraph(
    defineJob(({ env }) => void build(env)),
    {},
  )
const planOf = (build: (env: Environment) => unknown, parallelism = 2) =>
  buildPlan(graphOf(build), { parallelism, maxParallelism: 128 })
const chainsOf = (build: (env: Environment) => unknown, parallelism = 2) =>
  planOf(build, parallelism).vertices.map(
    (v) => `${v.operators.map((o) => o.uid).join(' > ')} x${v.parallelism}`,
  )
const edgesOf = (build: (env: Environment) => unknown, parallelism = 2) =>
  planOf(build, parallelism).edges.map((e) => `${e.from}[${e.fromOperator}] ${e.partition} ${e.to}`)
const refusal = (work: () => unknown): WeirError => {
  try {
    work()
  } catch (error) {
    if (error instanceof WeirError) return error
  }
  throw new Error('expected a WeirError')
}

const counted = (env: Environment) =>
  env
    .source('numbers', numbers)
    .map('double', (n) => n * 2)
    .keyBy((n) => n % 3)
    .count('count')
    .sink('out', blackhole())

describe('buildPlan()', () => {
  test('chains forward edges and cuts at a keyBy when there are several subtasks', () => {
    expect(chainsOf(counted)).toEqual(['numbers.discover x1', 'numbers > double x2', 'count > out x2'])
    expect(edgesOf(counted)).toEqual(['numbers.discover[0] rebalance numbers', 'numbers[1] hash count'])
  })

  test('chains through a keyBy between single subtasks, but never reader to discovery', () => {
    expect(chainsOf(counted, 1)).toEqual(['numbers.discover x1', 'numbers > double > count > out x1'])
  })

  test('a change of parallelism rebalances', () => {
    const job = (env: Environment) =>
      env
        .source('numbers', numbers)
        .map((n) => n + 1)
        .setParallelism(3)
        .sink('out', blackhole())
        .setParallelism(1)
    expect(chainsOf(job)).toEqual(['numbers.discover x1', 'numbers x2', 'map.1 x3', 'out x1'])
    expect(edgesOf(job)).toEqual([
      'numbers.discover[0] rebalance numbers',
      'numbers[0] rebalance map.1',
      'map.1[0] rebalance out',
    ])
  })

  test('a stream used twice goes on in its chain once, and by a forward edge the other time', () => {
    const job = (env: Environment) => {
      const source = env.source('numbers', numbers)
      source.sink('a', blackhole())
      source.sink('b', blackhole())
    }
    expect(chainsOf(job)).toEqual(['numbers.discover x1', 'numbers > a x2', 'b x2'])
    expect(edgesOf(job)).toEqual(['numbers.discover[0] rebalance numbers', 'numbers[0] forward b'])
  })

  test('a union is several inputs of the next step', () => {
    const job = (env: Environment) =>
      env
        .source('a', numbers)
        .union(env.source('b', numbers))
        .keyBy((n) => n)
        .count('count')
        .sink('out', blackhole())
    expect(edgesOf(job)).toEqual([
      'a.discover[0] rebalance a',
      'b.discover[0] rebalance b',
      'a[0] hash count',
      'b[0] hash count',
    ])
    expect(chainsOf(job, 1)).toEqual(['a.discover x1', 'a x1', 'b.discover x1', 'b x1', 'count > out x1'])
  })

  test('rebalance() keeps several subtasks apart', () => {
    expect(edgesOf((env) => env.source('a', numbers).rebalance().sink('out', blackhole()))).toContain(
      'a[0] rebalance out',
    )
  })

  test('the hash is stable, and changes with what decides where records and state go', () => {
    const hash = planOf(counted).hash
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
    expect(planOf(counted).hash).toBe(hash)
    expect(planOf(counted, 3).hash).not.toBe(hash)
    expect(
      planOf((env) =>
        env
          .source('numbers', numbers)
          .map('double', (n) => n * 2)
          .keyBy((n) => n % 3)
          .count('counts')
          .sink('out', blackhole()),
      ).hash,
    ).not.toBe(hash)
  })

  test('one sink that is not exactly-once decides for the plan', () => {
    expect(planOf(counted).guarantee).toBe('at-least-once')
    expect(planOf((env) => env.source('a', numbers).sink('out', collect<number>([]))).guarantee).toBe(
      'exactly-once',
    )
  })

  test('refuses parallelism above maxParallelism with the line of the user', () => {
    expect(
      refusal(() => buildPlan(graphOf(counted), { parallelism: 5, maxParallelism: 4 })).message,
    ).toContain('from 1 to maxParallelism 4')
    const error = refusal(() =>
      buildPlan(
        graphOf((env) => env.source('a', numbers).setParallelism(9).sink('out', blackhole())),
        { parallelism: 1, maxParallelism: 4 },
      ),
    )
    expect(error.message).toMatch(
      /"a" \(.*plan\.test\.ts:\d+:\d+\) has parallelism 9, more than maxParallelism 4/,
    )
  })

  test('instancesOf() gives operators in chain order and the keys of hash edges', () => {
    const bound = bindPlan(graphOf(counted), { parallelism: 2, maxParallelism: 128 })
    const instances = instancesOf(bound)
    expect([...instances.values()].map((i) => i.create.length)).toEqual([1, 2, 2])
    expect(instances.get('numbers')?.keyOf(1)(8)).toBe(2)
  })

  test('formatPlan() shows vertices, state and edges', () => {
    expect(formatPlan(planOf(counted)).replace(/hash \w+/, 'hash H')).toBe(
      [
        '3 vertices, 5 tasks, at-least-once, max parallelism 128, hash H',
        'numbers.discover x1  discover generator(10 records)  [state: numbers.discover]',
        'numbers x2           read generator(10 records) -> map double  [state: numbers]' +
          '  <- rebalance numbers.discover',
        'count x2             count count -> write blackhole  [state: count, out]  <- hash double',
      ].join('\n'),
    )
  })
})

describe('buildGraph()', () => {
  test('refuses a graph without a sink, naming the last step', () => {
    const error = refusal(() => graphOf((env) => env.source('a', numbers).map((n) => n)))
    expect(error.code).toBe('CFG_GRAPH')
    expect(error.message).toMatch(/no sink.*"map\.1" at .*plan\.test\.ts:\d+:\d+/)
  })

  test('refuses an empty graph', () => {
    expect(refusal(() => graphOf(() => {})).message).toContain('The job is empty')
  })

  test('refuses duplicate uids with both lines', () => {
    const error = refusal(() =>
      graphOf((env) => {
        env.source('a', numbers).sink('out', blackhole())
        env.source('a', numbers).sink('out', blackhole())
      }),
    )
    expect(error.message.match(/plan\.test\.ts:\d+/g)).toHaveLength(4)
    expect(error.message).toContain('Two steps have the uid "out"')
  })

  test.each(['', 'a b', 'a.b', '-a', undefined, 7])('refuses %j as a uid', (uid) => {
    expect(
      refusal(() => graphOf((env) => env.source('a', numbers).sink(uid as string, blackhole()))).message,
    ).toMatch(/plan\.test\.ts:\d+:\d+: .* is not a uid/)
  })

  test('refuses former names that are still in use', () => {
    const error = refusal(() =>
      graphOf((env) => {
        const keyed = env.source('a', numbers).keyBy((n) => n)
        keyed.count('b', { formerly: ['a', 'x'] }).sink('c', blackhole(), { formerly: ['x'] })
      }),
    )
    expect(error.message).toContain('"b"')
    expect(error.message).toContain('both were formerly "x"')
  })

  test('carries former names into the plan, also for discovery', () => {
    const plan = planOf((env) => env.source('a', numbers, { formerly: ['old'] }).sink('out', blackhole()))
    expect(plan.vertices.map((v) => v.operators[0]?.formerly)).toEqual(
      [['old.discover'], ['old'], []].slice(0, plan.vertices.length),
    )
  })

  test('checks the arguments by the declared schema and shows every issue', () => {
    const job = defineJob(
      { args: z.object({ input: z.string(), every: z.object({ n: z.number() }) }) },
      ({ env, args }) => {
        env
          .source('a', generator({ count: args.every.n, make: (n) => args.input + n }))
          .sink('out', blackhole())
      },
    )
    const error = refusal(() => buildGraph(job, { input: 1, every: { n: 'x' } }))
    expect(error.code).toBe('CFG_INVALID')
    expect(error.message).toContain('args.input: ')
    expect(error.message).toContain('args.every.n: ')
    expect(buildGraph(job, { input: 'a', every: { n: 2 } }).nodes).toHaveLength(3)
  })

  test('names the arguments that a job without a schema asked for in vain', () => {
    const job = defineJob(({ env, args }) => {
      env.source('a', files.lines(args.input)).sink('out', files.jsonl(args.output))
    })
    const error = refusal(() => buildGraph(job, { output: 'out/' }))
    expect(error).toMatchObject({ code: 'CFG_GRAPH' })
    expect(error.message).toMatch(
      /is not a path.*[^.]\. It asked for args\.input, which was not given: pass --arg input=VALUE/,
    )
  })

  test('refuses asynchronous job functions', () => {
    expect(
      refusal(() =>
        buildGraph(
          defineJob(async () => {}),
          {},
        ),
      ).message,
    ).toContain('asynchronous')
  })

  test('says where the function of a job failed', () => {
    const job = defineJob(({ args }) => void args.input.length)
    expect(refusal(() => buildGraph(job, {})).message).toMatch(
      /failed while building the graph: .*plan\.test\.ts:\d+/,
    )
  })
})
