import { systemClock } from '#runtime/base/clock'
import { messageOf, WeirError } from '#runtime/base/errors'
import { preview } from '#runtime/base/preview'
import type { Source } from '#runtime/connectors/source'
import { SourceDiscoverOperator } from '#runtime/operators/source-discover'
import { SourceReadOperator } from '#runtime/operators/source-read'
import { brokenRule, spread, within } from './broken-rule.ts'
import { OperatorHarness, type HarnessState } from './operator-harness.ts'

export interface SourceCheck {
  /** How often the process dies, spread over the records. Default 20. */
  readonly kills?: number
  /** Records to read; needed for a source that does not end. Default: all. */
  readonly records?: number
}

const RULES = {
  splits: 'discovery gives every split once, also after a restore',
  end: 'a bounded source comes to its end',
  repeat: 'a split that is read again gives the same records',
  position: 'reading on from a snapshot loses no record and repeats none',
  parallel: 'reading on from a snapshot with more readers loses no record and repeats none',
} as const
type RuleName = keyof typeof RULES

/** @throws {WeirError} USR_FAILED naming the rule that the source breaks */
export async function assertSource(source: Source<any>, options: SourceCheck): Promise<void> {
  const { kills = 20, records } = options
  if (!source.bounded && records === undefined)
    throw new WeirError(
      'CFG_INVALID',
      `assertConnector: source ${source.description} does not end. Say how many records to read, ` +
        'such as { records: 1000 }.',
    )
  const bench = new SourceBench(source, records ?? Infinity)
  const splits = await bench.splits()
  const all = await bench.readAll(splits)
  bench.compare('repeat', await bench.readAll(splits), all, '')
  for (const taken of spread(all.length + 1, kills)) {
    const before = await bench.readUntil(splits, taken)
    const where = `Killed after ${before.values.length} of ${all.length} records. `
    for (const [rule, readers] of [
      ['position', 1],
      ['parallel', 2],
    ] as const) {
      const after = await bench.readOn(rule, before.state, readers)
      bench.compare(rule, [...before.values, ...after], all, where)
    }
  }
}

interface Interrupted {
  readonly values: readonly unknown[]
  readonly state: HarnessState
}

class SourceBench {
  readonly #source: Source<any>
  readonly #limit: number
  #isSingle = false

  constructor(source: Source<any>, limit: number) {
    this.#source = source
    this.#limit = limit
  }

  async splits(): Promise<readonly unknown[]> {
    const create = () => new SourceDiscoverOperator(this.#source)
    const options = { create, uid: 'source.discover', clock: systemClock }
    return this.#judged('splits', async () => {
      await using first = await OperatorHarness.open<never, unknown>(options)
      await this.#discover(first)
      await using second = await OperatorHarness.open<never, unknown>(options, [await first.snapshot(1)])
      if (second.poll() === 'progressed' || second.values.length > 0) {
        const known = new Set(first.values.map((split) => JSON.stringify(split)))
        const again = second.values.find((split) => known.has(JSON.stringify(split)))
        if (again !== undefined) throw new Error(`It gave ${preview(again)} again.`)
      }
      this.#isSingle = first.values.length === 1
      return first.values
    })
  }

  /** A discovery that does not end has given all when it has given something and idles. */
  async #discover(discovery: OperatorHarness<never, unknown>): Promise<void> {
    let result = discovery.poll()
    while (
      result !== 'done' &&
      !(result === 'idle' && !this.#source.bounded && discovery.values.length > 0)
    ) {
      if (discovery.failures.length > 0) throw discovery.failures[0]
      if (result === 'idle') await discovery.woken()
      result = discovery.poll()
    }
  }

  readAll(splits: readonly unknown[]): Promise<readonly unknown[]> {
    return this.#judged('end', async () => {
      await using reader = await this.#open()
      for (const split of splits) reader.send(split)
      await reader.pollAll(() => reader.values.length >= this.#limit)
      return reader.values.slice(0, this.#limit)
    })
  }

  /** Between two polls, at `taken` records or a few more: one poll may give many. */
  readUntil(splits: readonly unknown[], taken: number): Promise<Interrupted> {
    return this.#judged('position', async () => {
      await using reader = await this.#open()
      for (const split of splits) reader.send(split)
      await reader.pollAll(() => reader.values.length >= taken)
      const state = await reader.snapshot(1)
      return { values: [...reader.values], state }
    })
  }

  readOn(rule: RuleName, state: HarnessState, readers: number): Promise<unknown[]> {
    return this.#judged(rule, async () => {
      const values: unknown[] = []
      for (let subtask = 0; subtask < readers; subtask++) {
        await using reader = await this.#open([state], { subtask, parallelism: readers })
        await reader.pollAll(() => reader.values.length >= this.#limit)
        values.push(...reader.values)
      }
      return values
    })
  }

  /**
   * Splits may be read in any order, so records are compared as a set with repetitions. Where only
   * the first ones of a source are read, what lies behind them is not known, but of a single split.
   */
  compare(rule: RuleName, found: readonly unknown[], expected: readonly unknown[], where: string): void {
    const isOrdered = this.#limit !== Infinity && this.#isSingle
    const left = countsOf(expected)
    const extra = (isOrdered ? found.slice(0, this.#limit) : found).filter((value) => !take(left, value))
    const isKnown = this.#limit === Infinity || isOrdered
    if (extra.length > 0 && isKnown)
      throw this.#broken(rule, `${where}${preview(extra[0])} came once too often.`)
    const lost = [...left.values()].find(({ count }) => count > 0)
    if (lost !== undefined) throw this.#broken(rule, `${where}${preview(lost.value)} did not come.`)
  }

  #open(
    states: readonly HarnessState[] = [],
    place: { readonly subtask?: number; readonly parallelism?: number } = {},
  ): Promise<OperatorHarness<unknown, unknown>> {
    const create = () => new SourceReadOperator<unknown, unknown, unknown>(this.#source)
    return OperatorHarness.open({ create, uid: 'source', clock: systemClock, ...place }, states)
  }

  async #judged<T>(rule: RuleName, act: () => Promise<T>): Promise<T> {
    try {
      return await within(act(), 'an end of it, nor a wake-up')
    } catch (cause) {
      throw this.#broken(rule, messageOf(cause), cause)
    }
  }

  #broken(rule: RuleName, seen: string, cause?: unknown): WeirError {
    return brokenRule(`Source ${this.#source.description}`, RULES[rule], seen, cause)
  }
}

/** Tells records apart. */
const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? `${member}n` : member)) ?? ''

type Counts = Map<string, { readonly value: unknown; count: number }>

function countsOf(values: readonly unknown[]): Counts {
  const counts: Counts = new Map()
  for (const value of values) {
    const count = counts.get(textOf(value))?.count ?? 0
    counts.set(textOf(value), { value, count: count + 1 })
  }
  return counts
}

/** Counts `value` down; false when none of it is left. */
function take(counts: Counts, value: unknown): boolean {
  const entry = counts.get(textOf(value))
  return entry !== undefined && entry.count-- > 0
}
