import { spreadOf } from '../measurement.ts'
import type { Kill } from './kills.ts'
import type { Trial } from './trial.ts'

export interface KillResult {
  readonly kill: Kill
  readonly trials: readonly Trial[]
}

const HEADER = [
  'killed',
  'runs',
  'to first record',
  'detect',
  'elect',
  'schedule',
  'restore',
  'first record',
  'to next checkpoint',
  'longest gap',
  'leader changed',
]

/** A Markdown table; milliseconds, `median (min-max)`, the phases as medians. Pure. */
export function report(results: readonly KillResult[]): string {
  const rows = results.map(({ kill, trials }) => {
    const recoveries = trials.flatMap(({ recovery, firstRecordMs }) =>
      recovery === undefined || firstRecordMs === undefined ? [] : [recovery],
    )
    const phase = (of: (r: (typeof recoveries)[number]) => number) =>
      recoveries.length === 0 ? '-' : ms(spreadOf(recoveries.map(of)).median)
    const firstRecords = trials.flatMap(({ firstRecordMs }) => firstRecordMs ?? [])
    return [
      kill.title,
      String(trials.length),
      firstRecords.length === 0 ? 'tasks continue' : spread(firstRecords),
      phase((r) => r.detectMs),
      phase((r) => r.electMs),
      phase((r) => r.scheduleMs),
      phase((r) => r.restoreMs),
      phase((r) => r.firstRecordMs ?? 0),
      spread(trials.map((t) => t.nextCheckpointMs)),
      ms(spreadOf(trials.map((t) => t.longestGapMs)).max),
      `${trials.filter((t) => t.leaderChanged).length} of ${trials.length}`,
    ]
  })
  return [HEADER, HEADER.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

export function spread(values: readonly number[]): string {
  const { min, median, max } = spreadOf(values)
  return values.length === 1 ? ms(median) : `${ms(median)} (${ms(min)}-${ms(max)})`
}

const ms = (value: number): string => Math.round(value).toLocaleString('en-US')
