import { describe, expect, test } from 'vitest'
import { sleep } from '#runtime/base/clock'
import { TestClock } from '#runtime/testing/test-clock'

describe('TestClock', () => {
  test('rings alarms in order of time, then of setting, each once', () => {
    const clock = new TestClock(1000)
    const rung: string[] = []
    for (const [name, delayMs] of [
      ['b', 20],
      ['a', 10],
      ['c', 20],
      ['late', 31],
    ] as const)
      clock.after(delayMs, () => rung.push(`${name} at ${clock.monotonic()}`))
    clock.advance(30)
    expect(rung).toEqual(['a at 10', 'b at 20', 'c at 20'])
    expect([clock.now(), clock.monotonic()]).toEqual([1030, 30])
    clock.advance(1)
    expect(rung).toHaveLength(4)
  })

  test('a cancelled alarm does not ring, and one that is set on the way does', () => {
    const clock = new TestClock()
    const rung: number[] = []
    clock.after(5, () => rung.push(5)).cancel()
    clock.after(10, () => clock.after(10, () => rung.push(clock.monotonic())))
    clock.advance(20)
    expect(rung).toEqual([20])
  })

  test('runFor() runs promises between two alarms, so that a loop of waits makes its way', async () => {
    const clock = new TestClock()
    const at: number[] = []
    const loop = (async () => {
      for (let n = 0; n < 3; n++) {
        await sleep(clock, 10)
        at.push(clock.monotonic())
      }
    })()
    await clock.runFor(25)
    expect(at).toEqual([10, 20])
    await clock.runFor(5)
    await loop
    expect(at).toEqual([10, 20, 30])
  })

  test('runUntil() stops where it is done', async () => {
    const clock = new TestClock()
    let rung = 0
    for (const delayMs of [10, 20, 30]) clock.after(delayMs, () => rung++)
    await clock.runUntil(100, () => rung === 2)
    expect([rung, clock.monotonic()]).toEqual([2, 20])
  })
})
