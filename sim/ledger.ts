import {
  keyOf,
  TICK_MS,
  WINDOW_MS,
  type LateRow,
  type NumberRow,
  type Row,
  type SinkUid,
  type SimJobArgs,
  type WindowRow,
} from './job.ts'
import type { World } from './world.ts'

/** Rows that a sink of a job made visible together. */
export interface CommittedRows {
  readonly job: string
  readonly uid: SinkUid
  readonly rows: readonly Row[]
}

/**
 * A stretch of output that belongs together: the rows of one job from a run on. `isWhole`: it
 * begins with the first number; else with whatever its restore point had behind it.
 */
export interface Line {
  readonly name: string
  readonly jobs: ReadonlySet<string>
  readonly fromRun: number
  readonly isWhole: boolean
  /** The job has finished: everything is there. */
  readonly isFinished: boolean
  /** The job was drained: of what it has read, everything is there. */
  readonly isDrained?: boolean
}

/** I5: every record of a line is in the committed output exactly once. */
export function checkLine(
  world: World,
  line: Line,
  args: SimJobArgs,
  committed: readonly CommittedRows[],
): void {
  const own = committed.filter((c) => line.jobs.has(c.job))
  const rowsOf = <R extends { readonly run: number }>(uid: CommittedRows['uid']): R[] =>
    own
      .filter((c) => c.uid === uid)
      .flatMap((c) => (c.rows as readonly unknown[] as R[]).filter((r) => r.run >= line.fromRun))
  const fail = (text: string): void => world.violate('I5', `${line.name}: ${text}`)
  const numbers = rowsOf<NumberRow>('numbers-out')
  checkNumbers(line, args, numbers, fail)
  const counted = countWindows(rowsOf<WindowRow>('windows-out'), rowsOf<LateRow>('late-out'), fail)
  const { isWhole, isFinished, isDrained = false } = line
  if (isWhole && (isFinished || isDrained)) {
    const all = isFinished ? Array.from({ length: args.count }, (_, n) => n) : numbers.map(({ n }) => n)
    checkWindows(counted, all, args, fail)
  }
}

/**
 * Of a job that went back: what it had put out before, up to where the line begins, must be there.
 * It may be there twice: the savepoint may lie on a branch that a failure had cut off.
 */
export function checkPrefix(
  world: World,
  line: Line,
  args: SimJobArgs,
  committed: readonly CommittedRows[],
): void {
  const rows = committed
    .filter((c) => line.jobs.has(c.job) && c.uid === 'numbers-out')
    .flatMap((c) => c.rows as readonly NumberRow[])
  for (let k = 0; k < Math.min(args.keys, args.count); k++) {
    const key = keyOf(k, args.keys)
    const own = rows.filter((row) => row.key === key)
    const first = Math.min(...own.filter((row) => row.run >= line.fromRun).map((row) => row.seq))
    const before = new Set(own.filter((row) => row.run < line.fromRun).map((row) => row.seq))
    const expected = first === Infinity ? [] : Array.from({ length: first - 1 }, (_, i) => i + 1)
    const lost = expected.find((seq) => !before.has(seq))
    if (lost !== undefined)
      return world.violate('I5', `${line.name}: ${key}: count ${lost} is lost behind the savepoint`)
  }
}

type Fail = (text: string) => void

function checkNumbers(line: Line, args: SimJobArgs, rows: readonly NumberRow[], fail: Fail): void {
  const byKey = new Map<string, number[]>()
  const seen = new Set<number>()
  for (const { key, seq, n } of rows) {
    if (seen.has(n)) return fail(`number ${n} was committed twice`)
    seen.add(n)
    if (keyOf(n, args.keys) !== key) return fail(`number ${n} stands under ${key}`)
    byKey.set(key, [...(byKey.get(key) ?? []), seq])
  }
  checkCounts(line, args, byKey, fail)
  if (line.isWhole && line.isFinished && seen.size !== args.count)
    fail(`${seen.size} of ${args.count} numbers were committed`)
}

/** `byKey`: the committed counts of each key. */
function checkCounts(line: Line, args: SimJobArgs, byKey: ReadonlyMap<string, number[]>, fail: Fail): void {
  for (let k = 0; k < Math.min(args.keys, args.count); k++) {
    const key = keyOf(k, args.keys)
    const total = Math.floor((args.count - 1 - k) / args.keys) + 1
    const fault = faultOf(
      (byKey.get(key) ?? []).sort((a, b) => a - b),
      total,
      line,
    )
    if (fault !== undefined) return fail(`${key}: ${fault}`)
  }
}

/** Counts of one key must follow each other. */
function faultOf(seqs: readonly number[], total: number, { isWhole, isFinished }: Line): string | undefined {
  const [first] = seqs
  if (first === undefined) return isWhole && isFinished ? 'nothing was committed' : undefined
  if (isWhole && first !== 1) return `the first committed count is ${first}`
  const gap = seqs.findIndex((seq, i) => seq !== first + i)
  if (gap >= 0) return `count ${seqs[gap]} follows ${seqs[gap - 1]}`
  const last = first + seqs.length - 1
  return isFinished && last !== total ? `the last committed count is ${last} of ${total}` : undefined
}

/** Records that came into each window, and those that came too late for it. */
function countWindows(
  rows: readonly WindowRow[],
  late: readonly LateRow[],
  fail: Fail,
): ReadonlyMap<string, number> {
  const counted = new Map<string, number>()
  for (const { key, start, count } of rows) {
    const window = `${key} from ${start}`
    if (counted.has(window)) fail(`the window of ${window} fired twice`)
    counted.set(window, count)
  }
  for (const { key, late: n } of late) {
    const window = `${key} from ${startOf(n)}`
    counted.set(window, (counted.get(window) ?? 0) + 1)
  }
  return counted
}

/** Every one of `numbers` came into its window, or too late for it. */
function checkWindows(
  counted: ReadonlyMap<string, number>,
  numbers: readonly number[],
  { keys }: SimJobArgs,
  fail: Fail,
): void {
  const expected = new Map<string, number>()
  for (const n of numbers) {
    const window = `${keyOf(n, keys)} from ${startOf(n)}`
    expected.set(window, (expected.get(window) ?? 0) + 1)
  }
  for (const [window, count] of expected)
    if (counted.get(window) !== count)
      return fail(`the window of ${window} has ${counted.get(window) ?? 0} of ${count} records`)
}

const startOf = (n: number): number => Math.floor((n * TICK_MS) / WINDOW_MS) * WINDOW_MS
