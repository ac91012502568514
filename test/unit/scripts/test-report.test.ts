import { describe, expect, test } from 'vitest'
import { sum, tallyLine, tallyOf, type VitestReport } from '../../../scripts/test-report.ts'

const report = (change: Partial<VitestReport> = {}): VitestReport => ({
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [],
  ...change,
})

describe('tallyOf()', () => {
  test('adds skipped and todo tests', () => {
    expect(tallyOf(report({ numPendingTests: 2, numTodoTests: 1 }), 0)).toEqual({
      passed: 3,
      failed: 0,
      skipped: 3,
    })
  })
  test('counts a file that could not be loaded as a failure', () => {
    const broken = report({ testResults: [{ status: 'failed', assertionResults: [] }] })
    expect(tallyOf(broken, 1).failed).toBe(1)
  })
  test('does not count a file again whose tests failed', () => {
    const failing = report({
      numFailedTests: 2,
      testResults: [{ status: 'failed', assertionResults: [{ status: 'failed' }] }],
    })
    expect(tallyOf(failing, 1).failed).toBe(2)
  })
  test('counts an error outside of the tests by the exit code', () => {
    expect(tallyOf(report(), 1).failed).toBe(1)
  })
  test('counts a run without a report as a failure', () => {
    expect(tallyOf(undefined, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })
})

describe('tallyLine()', () => {
  test('leaves out skipped when there is none', () => {
    expect(tallyLine(sum([tallyOf(report(), 0), tallyOf(report(), 0)]))).toBe('6 passed, 0 failed')
  })
  test('names skipped', () => {
    expect(tallyLine({ passed: 1, failed: 2, skipped: 3 })).toBe('1 passed, 2 failed, 3 skipped')
  })
})
