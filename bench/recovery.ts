/**
 * How long a job is away after each kind of kill: real processes, a real Redis and a real S3 server
 * on this machine. Every run ends with a check of all that was committed: nothing may be lost or
 * repeated.
 *
 *   node bench/recovery.ts [--runs 5] [--kills task-manager,leader,...] [--checkpoints 20]
 *     [--json FILE]
 *
 * "To first record" is measured outside, from the kill to the line of GET /events that reports the
 * first record; the phases are what the JobManager measured.
 */
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { formatBytes } from '#runtime/base/units'
import { startRedis } from '#tools/servers/redis'
import { startS3 } from '#tools/servers/s3'
import { tempDir } from '#tools/servers/temp-dir'
import { KILLS } from './recovery/kills.ts'
import { type KillResult, report, spread } from './recovery/report.ts'
import { CHECKPOINT_INTERVAL_MS, KEYS, PARALLELISM, RATE, type Servers, SLOTS } from './recovery/stage.ts'
import { checkpointDurations, runTrial, type Trial } from './recovery/trial.ts'
import { wholeNumber } from './whole-number.ts'

async function main(): Promise<void> {
  const { runs, kills, checkpoints, json } = parseOptions()
  console.log(machine())
  console.log(
    `job: ${RATE.toLocaleString('en-US')} records/s, ${KEYS.toLocaleString('en-US')} keys, ` +
      `parallelism ${PARALLELISM}, ${SLOTS} slots per TaskManager, ` +
      `a checkpoint each ${CHECKPOINT_INTERVAL_MS} ms into S3\n`,
  )
  await using directory = await tempDir('recovery')
  await using redis = await startRedis()
  await using s3 = await startS3()
  const servers: Servers = { redis, s3 }
  const steady =
    checkpoints === 0 ? undefined : await checkpointDurations(servers, directory.path, checkpoints)
  const results: KillResult[] = []
  for (const kill of kills) {
    const trials: Trial[] = []
    for (let run = 1; run <= runs; run++) {
      const trial = await runTrial(servers, kill, directory.path, `${kill.name}-${run}`)
      const back =
        trial.firstRecordMs === undefined ? 'tasks continue' : `${Math.round(trial.firstRecordMs)} ms`
      console.error(`${kill.name} run ${run}: ${back}, ${trial.records} records right`)
      trials.push(trial)
    }
    results.push({ kill, trials })
  }
  if (steady !== undefined)
    console.log(
      `checkpoints of the job while nothing happens: ${steady.durationsMs.length}, ` +
        `${spread(steady.durationsMs)} ms, state ${formatBytes(steady.sizeBytes)}\n`,
    )
  console.log(`${report(results)}\n\nmilliseconds, median (min-max); phases: medians. ${load()}`)
  if (json !== undefined)
    await writeFile(json, `${JSON.stringify({ machine: machine(), steady, results }, null, 2)}\n`)
}

const load = (): string =>
  `load average ${loadavg()
    .map((n) => n.toFixed(1))
    .join(' ')}`
const machine = (): string =>
  [
    cpus()[0]?.model ?? 'unknown CPU',
    `${cpus().length} cores`,
    `Node ${process.version}`,
    `commit ${commit()}`,
    load(),
  ].join(', ')

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim()
  } catch {
    return 'unknown'
  }
}

function parseOptions() {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '5' },
      kills: { type: 'string', default: KILLS.map(({ name }) => name).join(',') },
      checkpoints: { type: 'string', default: '20' },
      json: { type: 'string' },
    },
  })
  const names = values.kills.split(',')
  const unknown = names.filter((name) => !KILLS.some((kill) => kill.name === name))
  if (unknown.length > 0)
    throw new Error(
      `--kills: there is no ${unknown.join(', ')}. There are: ${KILLS.map(({ name }) => name).join(', ')}.`,
    )
  return {
    runs: wholeNumber('--runs', values.runs, 1),
    kills: KILLS.filter(({ name }) => names.includes(name)),
    checkpoints: wholeNumber('--checkpoints', values.checkpoints, 0),
    json: values.json,
  }
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
