import { describe, expect, test } from 'vitest'
import { buildGraph } from '#runtime/graph/job-definition'
import { loadJobModule } from '#runtime/graph/load-module'
import { runBare } from '../../../bench/bare.ts'
import { bundledJobs } from '../../../bench/bundle.ts'
import { BENCH_JOBS, type BenchJob, knownChecksum, requireEqual } from '../../../bench/checksum.ts'
import { spreadOf } from '../../../bench/measurement.ts'

const EVENTS = 200_000

const NODES: Readonly<Record<BenchJob, string>> = {
  wc: 'sentences.discover sentences flatMap.1 count sum',
  q0: 'events.discover events filter.1 map.1 sum',
  q1: 'events.discover events filter.1 map.1 map.2 sum',
  q2: 'events.discover events filter.1 map.1 filter.2 map.2 sum',
  q5: 'events.discover events filter.1 map.1 assignTimestamps.1 bids hottest sum',
}

describe('bench', () => {
  test.each(BENCH_JOBS)('the bare loop of %s puts out what Flink puts out', (job) => {
    expect(runBare(job, EVENTS)).toEqual(knownChecksum(job, EVENTS))
  })
  test.each(BENCH_JOBS)('%s is a job of its own operators', async (job) => {
    const definition = await loadJobModule({ name: 'bench/jobs.ts', source: await bundledJobs() })
    const graph = buildGraph(definition, { job, events: EVENTS, warmup: 0, out: '/nowhere' })
    expect(graph.nodes.map((node) => node.id).join(' ')).toBe(NODES[job])
  })
  test('the warm-up does not change the output and is reported once', () => {
    let warm = 0
    expect(runBare('q0', EVENTS, 1500, () => warm++)).toEqual(knownChecksum('q0', EVENTS))
    expect(warm).toBe(1)
  })
  test('another checksum is refused with both', () => {
    expect(() =>
      requireEqual({ job: 'q0', events: 10 }, 'Weir', { count: 1, sum: 2 }, { count: 1, sum: 3 }),
    ).toThrow(/Weir put out 1 records with checksum 2, expected 1 records with checksum 3/)
  })
})

describe('spreadOf()', () => {
  test('takes the middle of an even number of values', () => {
    expect(spreadOf([4, 1, 3, 2])).toEqual({ min: 1, median: 2.5, max: 4 })
  })
})
