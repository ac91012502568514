import { table } from '#cli/table'
import type { BenchJob } from './checksum.ts'
import {
  type Checkpoints,
  cpuPerEvent,
  eventsPerSecond,
  type Measurement,
  type Spread,
  spreadOf,
} from './measurement.ts'

const HEADER = [
  'JOB',
  'ENGINE',
  'RUNS',
  'EVENTS/S',
  'CPU US/EVENT (MIN-MAX)',
  'X BARE',
  'CKPTS',
  'CKPT MS (MAX)',
  'RSS MB',
  'RECORDS',
  'CHECKSUM',
]

export interface Row {
  readonly job: BenchJob
  readonly engine: string
  readonly runs: readonly Measurement[]
}

/**
 * One line per job and engine; `X BARE` is the CPU of an event as a multiple of the bare loop's.
 */
export function report(rows: readonly Row[]): string {
  const cpuOf = (row: Row): Spread => spreadOf(row.runs.map(cpuPerEvent))
  const lines = rows.map((row) => {
    const bare = rows.find((other) => other.job === row.job && other.engine === 'bare loop')
    const cpu = cpuOf(row)
    const checkpoints = row.runs.flatMap((run) => run.checkpoints ?? [])
    const [first] = row.runs
    return [
      row.job,
      row.engine,
      row.runs.length,
      Math.round(spreadOf(row.runs.map(eventsPerSecond)).median).toLocaleString('en'),
      `${us(cpu.median)} (${us(cpu.min)}-${us(cpu.max)})`,
      bare === undefined || bare === row ? undefined : (cpu.median / cpuOf(bare).median).toFixed(1),
      checkpoints.length === 0 ? undefined : spreadOf(checkpoints.map((it) => it.count)).median,
      checkpoints.length === 0 ? undefined : checkpointTimes(checkpoints),
      Math.round(Math.max(...row.runs.map((run) => run.rssBytes)) / 1048576),
      first?.output.count,
      first?.output.sum,
    ]
  })
  return table(HEADER, lines)
}

function checkpointTimes(all: readonly Checkpoints[]): string {
  const typicalMs = spreadOf(all.map((it) => it.typicalMs)).median
  const maxMs = Math.max(...all.map((it) => it.maxMs))
  return `${typicalMs.toFixed(0)} (${maxMs.toFixed(0)})`
}

const us = (value: number): string => (value < 1 ? value.toFixed(3) : value.toFixed(2))
