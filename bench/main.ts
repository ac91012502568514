/**
 * Word count and Nexmark q0, q1, q2, q5, each as a bare loop and as a Weir job, in turn; beside
 * Flink where its harness is named.
 *
 *   node bench/main.ts [--events N] [--runs 5] [--jobs wc,q0,q1,q2,q5] [--flink DIR] [--json FILE]
 *
 * Without --events each job has a number of its own that takes some seconds. The figure to look at
 * is CPU per event: it moves less than time on a machine that does other things. The first quarter
 * of the events warms up and is not measured (Flink: a whole job before). Every run's output is
 * checked: against Flink's results where they are known, else against the bare loop.
 */
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { runNode } from '../scripts/program.ts'
import {
  BENCH_JOBS,
  type BenchJob,
  DEFAULT_EVENTS,
  knownChecksum,
  requireEqual,
  type Workload,
} from './checksum.ts'
import { runEngine } from './engine-run.ts'
import { runFlink } from './flink-run.ts'
import { cpuPerEvent, type Measurement } from './measurement.ts'
import { report, type Row } from './report.ts'
import { wholeNumber } from './whole-number.ts'

interface Options {
  readonly events: number | undefined
  readonly runs: number
  readonly jobs: readonly BenchJob[]
  readonly flink: string | undefined
  readonly json: string | undefined
}

const WARMUP_SHARE = 0.25

async function main(): Promise<void> {
  const options = parseOptions()
  console.log(`${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, Node ${process.version}\n`)
  const rows: Row[] = []
  for (const job of options.jobs) rows.push(...(await runJob(job, options)))
  console.log(`\n${report(rows)}`)
  if (options.json !== undefined)
    await writeFile(
      options.json,
      `${JSON.stringify({ node: process.version, cpu: cpus()[0]?.model, rows }, null, 2)}\n`,
    )
}

async function runJob(job: BenchJob, { events = DEFAULT_EVENTS[job], runs, flink }: Options): Promise<Row[]> {
  const work: Workload = { job, events }
  const warmup = Math.floor(events * WARMUP_SHARE)
  const bare: Measurement[] = []
  const weir: Measurement[] = []
  for (let run = 1; run <= runs; run++) {
    bare.push(checked(work, 'the bare loop', await runBareProcess(work, warmup), bare[0]))
    weir.push(checked(work, 'Weir', await runEngine(job, events, warmup), bare[0]))
    console.log(`${job} run ${run}: bare ${us(bare.at(-1))}, Weir ${us(weir.at(-1))} us CPU per event`)
  }
  const rows: Row[] = [
    { job, engine: 'bare loop', runs: bare },
    { job, engine: 'Weir', runs: weir },
  ]
  if (flink === undefined) return rows
  const measured = await runFlink(flink, job, events, runs)
  for (const run of measured) checked(work, 'Flink', run, bare[0])
  return [...rows, { job, engine: 'Flink', runs: measured }]
}

const us = (run: Measurement | undefined): string => (run === undefined ? '-' : cpuPerEvent(run).toFixed(3))

function checked(
  work: Workload,
  who: string,
  run: Measurement,
  reference: Measurement | undefined,
): Measurement {
  const expected = knownChecksum(work.job, work.events) ?? reference?.output
  if (expected !== undefined) requireEqual(work, who, run.output, expected)
  return run
}

async function runBareProcess({ job, events }: Workload, warmup: number): Promise<Measurement> {
  const { code, output } = await runNode(['bench/bare-run.ts', job, String(events), String(warmup)])
  if (code !== 0) throw new Error(`The bare loop of ${job} ended with code ${code}:\n${output}`)
  return JSON.parse(output) as Measurement
}

function parseOptions(): Options {
  const { values } = parseArgs({
    options: {
      events: { type: 'string' },
      runs: { type: 'string', default: '5' },
      jobs: { type: 'string', default: BENCH_JOBS.join(',') },
      flink: { type: 'string' },
      json: { type: 'string' },
    },
  })
  const names = values.jobs.split(',')
  const unknown = names.filter((name) => !BENCH_JOBS.some((job) => job === name))
  if (unknown.length > 0)
    throw new Error(`--jobs: there is no job ${unknown.join(', ')}. There are: ${BENCH_JOBS.join(', ')}.`)
  return {
    events: values.events === undefined ? undefined : wholeNumber('--events', values.events, 1000),
    runs: wholeNumber('--runs', values.runs, 1),
    jobs: BENCH_JOBS.filter((job) => names.includes(job)),
    flink: values.flink,
    json: values.json,
  }
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
