import { describe, expect, test } from 'vitest'
import { buildGraph } from '#runtime/graph/job-definition'
import { loadJobModule } from '#runtime/graph/load-module'
import { runBare } from '../../../bench/bare.ts'
import { bundledJobs } from '../../../bench/bundle.ts'
import { BENCH_JOBS, knownChecksum, requireEqual } from '../../../bench/checksum.ts'
import { spreadOf } from '../../../bench/measurement.ts'

const EVENTS = 200_000

describe('bench', () => {
  test.each(BENCH_JOBS)('the bare loop of %s puts out what Flink puts out', (job) => {
    expect(runBare(job, EVENTS)).toEqual(knownChecksum(job, EVENTS))
  })
  test.each(BENCH_JOBS)('%s is a job that can be built', async (job) => {
    const definition = await loadJobModule({ name: 'bench/jobs.ts', source: await bundledJobs() })
    const graph = buildGraph(definition, { job, events: EVENTS, warmup: 0, out: '/nowhere' })
    expect(graph.nodes.length).toBeGreaterThan(3)
  })
  test('the warm-up does not change the output and is told once', () => {
    let told = 0
    expect(runBare('q0', EVENTS, 1500, () => told++)).toEqual(knownChecksum('q0', EVENTS))
    expect(told).toBe(1)
  })
  test('another checksum is refused with both', () => {
    expect(() => requireEqual('q0', 10, 'Weir', { count: 1, sum: 2 }, { count: 1, sum: 3 })).toThrow(
      /Weir put out 1 records with checksum 2, expected 1 records with checksum 3/,
    )
  })
})

describe('spreadOf()', () => {
  test('takes the middle of an even number of values', () => {
    expect(spreadOf([4, 1, 3, 2])).toEqual({ min: 1, median: 2.5, max: 4 })
  })
})
