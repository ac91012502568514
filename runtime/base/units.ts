import { WeirError } from './errors.ts'

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/**
 * The one grammar of durations: `ms|s|m|h` parts, such as `500ms`, `10s`, `1h30m`. Also the pattern
 * in the CRDs.
 */
export const DURATION_PATTERN = '^([0-9]+(ms|s|m|h))+$'

type Unit = 'ms' | 's' | 'm' | 'h'

/** A duration as the compiler sees it: one or two parts, such as "500ms", "10s" or "1h30m". */
export type Duration = `${number}${Unit}` | `${number}${Unit}${number}${Unit}`

/** "1h30m" -> 5400000. @throws {WeirError} CFG_INVALID naming the text and the grammar. */
export function parseDuration(text: string): number {
  if (!new RegExp(DURATION_PATTERN).test(text))
    throw new WeirError(
      'CFG_INVALID',
      `Not a duration: ${JSON.stringify(text)}. ` +
        'Expected parts of ms, s, m, h such as "500ms", "10s" or "1h30m".',
    )
  let total = 0
  for (const [, n, unit = ''] of text.matchAll(/([0-9]+)(ms|s|m|h)/g))
    total += Number(n) * (UNIT_MS[unit] ?? NaN)
  return total
}

/** 5400000 -> "1h30m"; 0 -> "0ms". Inverse of parseDuration for whole milliseconds >= 0. */
export function formatDuration(ms: number): string {
  let rest = Math.round(ms)
  let text = ''
  for (const [unit, size] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ] as const) {
    const n = Math.floor(rest / size)
    rest -= n * size
    if (n > 0) text += `${n}${unit}`
  }
  return text === '' ? '0ms' : text
}

/** 20480 -> "20.0 KiB". For people, not for parsing. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let n = bytes
  let i = 0
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024
    i++
  }
  return i === 0 ? `${n} B` : `${n.toFixed(1)} ${units[i]}`
}
