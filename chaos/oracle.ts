/**
 * What the output must be, record by record. Records of one key may be taken in any order, so the
 * order is read from the output itself: by their counts, the sums must follow from each other, and
 * every record must be one of the input, once. Pure.
 */
import type { InputRecord, OutputRecord } from './records.ts'

export interface Findings {
  /** In words; empty when nothing offends. What is missing is no offence until the end. */
  readonly offences: readonly string[]
  readonly records: number
  /** Records of the input that have not come out. */
  readonly missing: number
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
  let missing = 0
  for (const [key, records] of expected) {
    const result = checkKey(records, found.get(key) ?? [], beginning)
    missing += result.missing
    if (result.offence !== undefined) offences.push(`${key}: ${result.offence}`)
  }
  return { offences, records: output.length, missing }
}

interface KeyFindings {
  readonly offence: string | undefined
  readonly missing: number
}

function checkKey(
  input: readonly InputRecord[],
  output: readonly OutputRecord[],
  beginning: Beginning,
): KeyFindings {
  const inOrder = output.toSorted((a, b) => a.count - b.count)
  const before = beginning === 'empty' ? 0 : (inOrder[0]?.count ?? 1) - 1
  const offence = offenceOf(input, inOrder, before)
  if (beginning === 'empty') return { offence, missing: input.length - output.length }
  // Nothing came out: all of it may be in the savepoint.
  if (inOrder.length === 0) return { offence, missing: 0 }
  const missing = input.length - before - output.length
  return { offence: offence ?? offenceOfBeginning(input, inOrder, missing), missing }
}

/** `output` in the order of its counts, the first of which is `before` + 1. */
function offenceOf(
  input: readonly InputRecord[],
  output: readonly OutputRecord[],
  before: number,
): string | undefined {
  const values = new Map(input.map(({ id, value }) => [id, value]))
  const seen = new Set<number>()
  let last: OutputRecord | undefined
  for (const record of output) {
    const { id, count, sum } = record
    const value = values.get(id)
    if (value === undefined) return `record ${id} is not in the input`
    if (seen.has(id)) return `record ${id} came out twice`
    seen.add(id)
    const expected = (last?.count ?? before) + 1
    if (count !== expected) return `expected count ${expected}, found ${count} (record ${id})`
    const expectedSum = last === undefined ? (before === 0 ? value : sum) : last.sum + value
    if (sum !== expectedSum) return `expected sum ${expectedSum} at count ${count}, found ${sum}`
    last = record
  }
  return undefined
}

/** What the savepoint holds is what did not come out: seen in the first sum, once all is there. */
function offenceOfBeginning(
  input: readonly InputRecord[],
  output: readonly OutputRecord[],
  missing: number,
): string | undefined {
  const [first] = output
  if (first === undefined || missing !== 0) return undefined
  const cameOut = new Set(output.map(({ id }) => id))
  const values = input.map(({ id, value }) => (cameOut.has(id) && id !== first.id ? 0 : value))
  const expected = values.reduce((sum, value) => sum + value, 0)
  if (first.sum === expected) return undefined
  return `the savepoint and its first record sum up to ${first.sum}, expected ${expected}`
}
