/**
 * What the output must be, record by record. Records of one key may be taken in any order, so the
 * order is read from the output itself: by their counts, the sums must follow from each other, and
 * every record must be one of the input, once. Files appear one by one, so that there may be holes
 * for a while; when nothing is missing there are none. Pure.
 */
import type { InputRecord, OutputRecord } from './records.ts'

export interface Findings {
  /** In words; empty when nothing offends. What is missing is no offence: it may still come. */
  readonly offences: readonly string[]
  readonly records: number
  /** What is not there yet, in words and by key; empty: nothing. */
  readonly missing: readonly string[]
}

/** A job from nothing; or one from a savepoint, whose output begins where that ends. */
export type Beginning = 'empty' | 'savepoint'

export function checkOutput(
  input: readonly InputRecord[],
  output: readonly OutputRecord[],
  beginning: Beginning,
): Findings {
  const found = Map.groupBy(output, ({ key }) => key)
  const expected = Map.groupBy(input, ({ key }) => key)
  const foreign = [...found.keys()].filter((key) => !expected.has(key))
  const offences = foreign.map((key) => `${key} is no key of the input`)
  const missing: string[] = []
  for (const [key, records] of expected) {
    const outputOfKey = (found.get(key) ?? []).toSorted((a, b) => a.count - b.count)
    const offence = offenceOf(records, outputOfKey)
    const lack = beginning === 'empty' ? lackOf(records, outputOfKey) : lackOfRest(records, outputOfKey)
    if (offence !== undefined) offences.push(`${key}: ${offence}`)
    if (lack !== undefined) missing.push(`${key}: ${lack}`)
  }
  return { offences, records: output.length, missing }
}

/** What can never be right, whatever comes. `output` in the order of its counts. */
function offenceOf(input: readonly InputRecord[], output: readonly OutputRecord[]): string | undefined {
  const values = new Map(input.map(({ id, value }) => [id, value]))
  const seen = new Set<number>()
  let last: OutputRecord | undefined
  for (const record of output) {
    const value = values.get(record.id)
    if (value === undefined) return `record ${record.id} is not in the input`
    if (seen.has(record.id)) return `record ${record.id} came out twice`
    seen.add(record.id)
    if (record.count > input.length) return `count ${record.count}, but only ${input.length} records`
    const offence = offenceOfNext(last, record, value)
    if (offence !== undefined) return offence
    last = record
  }
  return undefined
}

function offenceOfNext(
  last: OutputRecord | undefined,
  { id, count, sum }: OutputRecord,
  value: number,
): string | undefined {
  const before = last ?? { count: 0, sum: 0 }
  if (count <= before.count) return `count ${count} came out twice (record ${id})`
  if (count > before.count + 1 || sum === before.sum + value) return undefined
  return `expected sum ${before.sum + value} at count ${count}, found ${sum} (record ${id})`
}

function lackOf(input: readonly InputRecord[], output: readonly OutputRecord[]): string | undefined {
  if (output.length >= input.length) return undefined
  const cameOut = new Set(output.map(({ id }) => id))
  const first = input.find(({ id }) => !cameOut.has(id))
  return `${output.length} of ${input.length} records came out, not record ${first?.id ?? '?'}`
}

/**
 * The rest after a savepoint. What the savepoint holds is what does not come out, and is seen in
 * the first sum. Nothing at all may come out: all of the key may be in the savepoint.
 */
function lackOfRest(input: readonly InputRecord[], output: readonly OutputRecord[]): string | undefined {
  const [first] = output
  if (first === undefined) return undefined
  const expectedCount = input.length - output.length + 1
  if (first.count !== expectedCount) return `expected first count ${expectedCount}, found ${first.count}`
  const later = new Set(output.slice(1).map(({ id }) => id))
  const values = input.map(({ id, value }) => (later.has(id) ? 0 : value))
  const expectedSum = values.reduce((sum, value) => sum + value, 0)
  return first.sum === expectedSum ? undefined : `expected first sum ${expectedSum}, found ${first.sum}`
}
