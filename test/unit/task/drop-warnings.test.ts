import { expect, test } from 'vitest'
import type { Logger } from '#runtime/base/logger'
import { noCounts } from '#runtime/connectors/connector-context'
import { DropWarnings } from '#runtime/task/drop-warnings'

function warningsOf() {
  const counters = noCounts()
  const said: string[] = []
  const logger = { warn: (_: object, text: string) => said.push(text.split(/[;,]/)[0] as string) }
  let now = 0
  const drops = new DropWarnings(counters, logger as unknown as Logger, { monotonic: () => now })
  const warnings = {
    check: (at: number) => ((now = at), drops.check()),
    end: (at: number) => ((now = at), drops.end()),
  }
  const told = (act: () => void): string[] => {
    act()
    return said.splice(0)
  }
  return { counters, warnings, told }
}

test('what is dropped is said at once, then once a minute, and at the end what was not said yet', () => {
  const { counters, warnings, told } = warningsOf()
  expect(told(() => warnings.check(0))).toEqual([])
  counters.lateDropped = 3
  const late = (n: number) => [`${n} records came after their window had closed and were dropped`]
  expect(told(() => warnings.check(1000))).toEqual(late(3))
  counters.lateDropped = 10
  expect(told(() => warnings.check(60_999))).toEqual([])
  expect(told(() => warnings.check(61_000))).toEqual(late(7))
  expect(told(() => warnings.check(200_000))).toEqual([])
  counters.lateDropped = 11
  expect(told(() => warnings.check(200_100))).toEqual(late(1))
  counters.lateDropped = 12
  expect(told(() => warnings.end(200_200))).toEqual(late(1))
  expect(told(() => warnings.end(200_300))).toEqual([])
})

test('records that could not be read have a warning of their own', () => {
  const { counters, warnings, told } = warningsOf()
  counters.lateDropped = 1
  counters.badRecords = 2
  expect(told(() => warnings.check(0))).toHaveLength(2)
  counters.badRecords = 3
  expect(told(() => warnings.check(60_000))).toEqual(['1 records could not be read and were left out'])
})
