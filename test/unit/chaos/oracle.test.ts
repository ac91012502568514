import { describe, expect, test } from 'vitest'
import { checkOutput } from '#chaos/oracle'
import { type InputRecord, type OutputRecord, recordsOf } from '#chaos/records'

const input = recordsOf(5, 3)

/** What a job gives that takes the records in this order, from the state of those before. */
function outputOf(records: readonly InputRecord[], before: readonly InputRecord[] = []): OutputRecord[] {
  const counts = new Map<string, { count: number; sum: number }>()
  const take = ({ key, value }: InputRecord) => {
    const { count, sum } = counts.get(key) ?? { count: 0, sum: 0 }
    const next = { count: count + 1, sum: sum + value }
    counts.set(key, next)
    return next
  }
  before.forEach(take)
  return records.map((record) => ({ key: record.key, id: record.id, ...take(record) }))
}

const offencesOf = (output: readonly OutputRecord[]) => checkOutput(input, output, 'empty').offences

describe('recordsOf()', () => {
  test('gives the same records for the same seed, each with an id of its own', () => {
    expect(recordsOf(5, 3)).toEqual(input)
    expect(recordsOf(6, 3)).not.toEqual(input)
    expect(new Set(input.map(({ id }) => id)).size).toBe(input.length)
  })
})

describe('checkOutput() of a job that began empty', () => {
  test('is content with any order of the records', () => {
    const output = outputOf(input.toReversed())
    expect(checkOutput(input, output, 'empty')).toEqual({
      offences: [],
      records: input.length,
      missing: [],
    })
  })

  test('names what is missing, and does not mind holes yet', () => {
    const [first, ...output] = outputOf(input)
    const found = checkOutput(input, output, 'empty')
    expect(found.offences).toEqual([])
    expect(found.missing).toEqual([expect.stringContaining(`${first?.key}: `)])
    expect(found.missing[0]).toContain(`not record ${first?.id}`)
  })

  test('finds a record that came out twice', () => {
    const first = input[0] as InputRecord
    expect(offencesOf(outputOf([...input, first]))).toEqual([
      `${first.key}: record ${first.id} came out twice`,
    ])
  })

  test('finds a record that was counted twice and came out once', () => {
    const first = input[0] as InputRecord
    const output = outputOf([...input, first]).filter(({ id, count }) => id !== first.id || count > 1)
    expect(offencesOf(output)).toEqual([expect.stringContaining(`${first.key}: count `)])
  })

  test('finds two records with one count', () => {
    const output = outputOf(input).map((it) => (it.count === 2 ? { ...it, count: 1 } : it))
    expect(offencesOf(output)).not.toEqual([])
  })

  test('finds a sum that does not follow from the record before', () => {
    const output = outputOf(input).map((it) => (it.count === 2 ? { ...it, sum: it.sum + 1 } : it))
    expect(offencesOf(output)).not.toEqual([])
  })

  test('finds a record that nobody put in', () => {
    const [first] = outputOf(input)
    expect(offencesOf([{ ...(first as OutputRecord), id: -1 }])).toEqual([
      `${first?.key}: record -1 is not in the input`,
    ])
    expect(offencesOf([{ ...(first as OutputRecord), key: 'nobody' }])).toEqual([
      'nobody is no key of the input',
    ])
  })
})

describe('checkOutput() of a job that began with a savepoint', () => {
  const [before, after] = [input.slice(0, 200), input.slice(200)]
  const check = (output: readonly OutputRecord[]) => checkOutput(input, output, 'savepoint')

  test('is content when savepoint and output together are all there is', () => {
    expect(check(outputOf(after, before))).toEqual({ offences: [], records: after.length, missing: [] })
  })

  test('finds a record that is in both', () => {
    const again = before[0] as InputRecord
    expect(check(outputOf([...after, again], before)).offences).toHaveLength(1)
  })

  test('misses a record that is in neither', () => {
    expect(check(outputOf(after.slice(0, -1), before)).missing).toHaveLength(1)
    expect(check(outputOf(after, before.slice(1))).missing).toHaveLength(1)
  })

  test('misses what is not in the sum of the savepoint', () => {
    const wrong = before.map((record, index) =>
      index === 0 ? { ...record, value: record.value + 1 } : record,
    )
    expect(check(outputOf(after, wrong)).missing).toHaveLength(1)
  })
})
