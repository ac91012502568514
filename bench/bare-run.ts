/**
 * `node bare-run.ts JOB EVENTS WARMUP`: one bare run in a process of its own, so that no other job
 * has shaped the compiled code. Prints a Measurement as JSON.
 */
import { runBare } from './bare.ts'
import { BENCH_JOBS } from './checksum.ts'
import type { Measurement } from './measurement.ts'
import { moment, usageBetween } from './probe.ts'

const [name, events, warmup] = process.argv.slice(2)
const job = BENCH_JOBS.find((known) => known === name)
if (job === undefined) throw new Error(`There is no bench job ${name}. There are: ${BENCH_JOBS.join(', ')}.`)

let warm = moment()
const output = runBare(job, Number(events), Number(warmup), () => (warm = moment()))
const measured = usageBetween(warm, moment(), Number(events) - Number(warmup))
const result: Measurement = {
  ...measured,
  output,
  rssBytes: process.memoryUsage.rss(),
  checkpoints: undefined,
}
console.log(JSON.stringify(result))
