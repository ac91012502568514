import { describe, expect, test } from 'vitest'
import { restartOptions, type RestartOptions } from '#runtime/contract/job-options'
import { decideRestart, noFailures, type RestartDecision } from '#runtime/job-manager/restart-strategy'

const options = (given: Partial<RestartOptions>): RestartOptions => restartOptions.parse(given)

/** Decisions for failures at the given times; `random` 0.5 means no jitter. */
function decisions(o: RestartOptions, times: readonly number[], processLost = false): RestartDecision[] {
  let history = noFailures
  return times.map((now) => {
    const answer = decideRestart(o, history, { now, processLost, random: 0.5 })
    history = answer.history
    return answer.decision
  })
}
const delays = (o: RestartOptions, times: readonly number[], processLost = false) =>
  decisions(o, times, processLost).map((d) => (d.kind === 'restart' ? d.delayMs : d.why))

describe('decideRestart() with ExponentialDelay', () => {
  const o = options({ delayMs: 1000, maxDelayMs: 3000, windowMs: 60_000 })

  test('multiplies the delay by 1.5 up to the cap', () => {
    expect(delays(o, [0, 1, 2, 3, 4])).toEqual([1000, 1500, 2250, 3000, 3000])
  })

  test('starts over after a window without failure', () => {
    expect(delays(o, [0, 1, 60_002])).toEqual([1000, 1500, 1000])
  })

  test('replaces the first lost process at once and damps the next', () => {
    expect(delays(o, [0, 10], true)).toEqual([0, 1500])
  })

  test('keeps jitter within ten percent', () => {
    for (const [random, delay] of [
      [0, 900],
      [0.999999, 1100],
    ] as const) {
      const { decision } = decideRestart(o, noFailures, { now: 0, processLost: false, random })
      expect(decision.kind === 'restart' && decision.delayMs).toBeCloseTo(delay, 0)
    }
  })

  test('fails the job beyond maxAttempts and says why', () => {
    const last = decisions(options({ ...o, maxAttempts: 2 }), [0, 1, 2]).at(-1)
    expect(last).toEqual({ kind: 'fail', why: '3 failures within 1m, restart.maxAttempts is 2' })
  })
})

describe('decideRestart() with FailureRate', () => {
  const o = options({ strategy: 'FailureRate', delayMs: 500, windowMs: 10_000, maxAttempts: 2 })

  test('restarts with a constant delay while the rate is low', () => {
    expect(delays(o, [0, 6000, 12_000, 18_000])).toEqual([500, 500, 500, 500])
  })

  test('fails when too many failures fall into the window', () => {
    expect(decisions(o, [0, 100, 200]).at(-1)?.kind).toBe('fail')
  })

  test('allows five failures in a window unless told otherwise', () => {
    const { maxAttempts: _, ...rest } = o
    expect(decisions(options(rest), [0, 1, 2, 3, 4, 5]).map((d) => d.kind)).toEqual([
      'restart',
      'restart',
      'restart',
      'restart',
      'restart',
      'fail',
    ])
  })
})
