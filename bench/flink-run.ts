import { join } from 'node:path'
import { runProgram } from '../scripts/program.ts'
import type { BenchJob } from './checksum.ts'
import type { Measurement } from './measurement.ts'

/** Columns of the harness, as bench.py prints them. */
const COLUMNS = [
  'api job backend p ckpt_ms events reuse keys wall_s cpu_s events_per_s cpu_s_per_M tm_rss_mb',
  'ckpts ckpt_avg_ms ckpt_max_ms ckpt_bytes out sum',
].flatMap((names) => names.split(' '))

/**
 * Runs of the same job by Flink's DataStream interface, after a warm-up job in the same
 * TaskManager. `directory` is the peer harness (with run.sh).
 */
export async function runFlink(
  directory: string,
  job: BenchJob,
  events: number,
  runs: number,
): Promise<Measurement[]> {
  const { code, output } = await runProgram(
    join(directory, 'run.sh'),
    ['one', 'api=ds', `job=${job}`, `n=${events}`, `runs=${runs}`, 'warmup=1'],
    { cwd: directory },
  )
  const rows = output
    .split('\n')
    .map((line) => line.split('\t'))
    .filter((cells) => cells.length === COLUMNS.length && cells[0] === 'ds')
  if (code !== 0 || rows.length === 0)
    throw new Error(`Flink did not run ${job} (exit code ${code}):\n${output.slice(-2000)}`)
  return rows.map((cells) => measurementOf((name) => Number(cells[COLUMNS.indexOf(name)])))
}

const measurementOf = (cell: (name: string) => number): Measurement => ({
  events: cell('events'),
  wallMs: cell('wall_s') * 1000,
  cpuUs: cell('cpu_s') * 1e6,
  output: { count: cell('out'), sum: cell('sum') },
  rssBytes: cell('tm_rss_mb') * 1024 * 1024,
  checkpoints: { count: cell('ckpts'), typicalMs: cell('ckpt_avg_ms'), maxMs: cell('ckpt_max_ms') },
})
