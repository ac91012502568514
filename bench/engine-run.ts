import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LocalCluster } from '#cli/local/local-cluster'
import { tempDir } from '#tools/servers/temp-dir'
import { bundledJobs } from './bundle.ts'
import type { BenchJob } from './checksum.ts'
import type { ChecksumPart } from './checksum-sink.ts'
import { type Measurement, spreadOf } from './measurement.ts'
import { type Moment, usageBetween } from './probe.ts'

const CHECKPOINT_INTERVAL_MS = 1000

/**
 * One run of a job by Weir: a JobManager and a TaskManager with one slot as processes, parallelism
 * 1, an exactly-once checkpoint into files each second. CPU is that of the TaskManager's process
 * with all of its threads; the JobManager's is not counted. A run that had to restart is refused.
 */
export async function runEngine(job: BenchJob, events: number, warmup: number): Promise<Measurement> {
  await using directory = await tempDir('bench')
  const out = join(directory.path, 'out')
  const cluster = await LocalCluster.start({
    stateDir: join(directory.path, 'state'),
    logLevel: 'Warn',
    job: {
      name: `bench-${job}`,
      file: join(import.meta.dirname, 'jobs.ts'),
      module: { source: await bundledJobs() },
      args: { job, events, warmup, out },
      taskManagers: 1,
      slots: 1,
      parallelism: 1,
      checkpoint: { intervalMs: CHECKPOINT_INTERVAL_MS, minPauseMs: 0 },
      restart: { strategy: 'FailureRate', maxAttempts: 0 },
    },
  })
  const checkpoints = new Map<number, number>()
  cluster.events.on('facts', ({ checkpoint: { last } }) => {
    if (last !== undefined) checkpoints.set(last.id, last.durationMs)
  })
  const { state, message } = await cluster.ended
  if (state !== 'Finished') throw new Error(`${job}: the job ended as ${state}: ${message}`)
  return measurementOf(await readReports(out), events - warmup, [...checkpoints.values()])
}

interface Reports {
  readonly warm: Moment
  readonly parts: readonly ChecksumPart[]
}

async function readReports(out: string): Promise<Reports> {
  const read = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(out, name), 'utf8'))
  const names = (await readdir(out)).filter((name) => name.startsWith('part-'))
  return {
    warm: (await read('warm.json')) as Moment,
    parts: (await Promise.all(names.map(read))) as ChecksumPart[],
  }
}

function measurementOf(
  { warm, parts }: Reports,
  events: number,
  checkpointsMs: readonly number[],
): Measurement {
  const last = parts.toSorted((a, b) => b.last.atMs - a.last.atMs)[0]
  if (last === undefined) throw new Error('The job finished and left no output.')
  const spread = spreadOf(checkpointsMs)
  return {
    ...usageBetween(warm, last.last, events),
    output: {
      count: parts.reduce((n, part) => n + part.count, 0),
      sum: parts.reduce((n, part) => n + part.sum, 0),
    },
    rssBytes: Math.max(...parts.map((part) => part.rssBytes)),
    checkpoints: { count: checkpointsMs.length, typicalMs: spread.median, maxMs: spread.max },
  }
}
