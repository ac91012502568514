/** What a person reads of results. Pure. */
import type { FaultKind } from './fault.ts'
import type { Result } from './run.ts'

export function lineOf(result: Result): string {
  const { seed, violations, faults, recoveries, progressMs, records, objects, tookMs } = result
  const count = [...faults.values()].reduce((sum, times) => sum + times, 0)
  return [
    `seed ${seed} ${violations.length === 0 ? 'passed' : 'FAILED'}`,
    `${count} faults (${[...faults].map(([name, times]) => `${name} ${times}`).join(', ')})`,
    `${recoveries} recoveries`,
    `slowest progress ${secondsOf(Math.max(0, ...progressMs))}`,
    `${records.toLocaleString('en-US')} records right`,
    ...(objects === undefined ? [] : [`${objects} files left behind`]),
    secondsOf(tookMs),
  ].join('; ')
}

export function totalsOf(results: readonly Result[]): string {
  const progress = results.flatMap(({ progressMs }) => progressMs).toSorted((a, b) => a - b)
  const sum = (of: (result: Result) => number) => results.reduce((total, it) => total + of(it), 0)
  const faults = sum((it) => [...it.faults.values()].reduce((total, times) => total + times, 0))
  return [
    `${results.length} runs`,
    `${faults} faults`,
    `${sum((it) => it.recoveries)} recoveries`,
    `${sum((it) => it.records).toLocaleString('en-US')} records`,
    `time to progress: median ${secondsOf(progress[Math.floor(progress.length / 2)] ?? 0)}, ` +
      `slowest ${secondsOf(progress.at(-1) ?? 0)} of ${progress.length}`,
  ].join('; ')
}

export function failureText({ seed, violations }: Result, story: string, directory: string): string {
  const list = violations.map((it) => `  - ${it}`).join('\n')
  return `\nseed ${seed} violates:\n${list}\nThe story:\n${story}\nLogs: ${directory}\n`
}

export const listOf = (kinds: readonly Pick<FaultKind, 'name' | 'says'>[]): string =>
  kinds.map(({ name, says }) => `${name.padEnd(16)} ${says}`).join('\n')

const secondsOf = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
