import { expect, test } from 'vitest'
import { watchdog } from '#runtime/base/watchdog'
import { TestClock } from '#runtime/testing/test-clock'

test('aborts when nothing was heard for the limit, and says what was waited for', () => {
  const clock = new TestClock()
  const silence = watchdog(clock, 100, 'nothing heard')
  clock.advance(99)
  expect(silence.signal.aborted).toBe(false)
  clock.advance(1)
  expect(silence.signal.reason).toMatchObject({
    code: 'DEADLINE',
    message: 'nothing heard within 100 ms',
  })
})

test('a sign of life begins the limit anew', () => {
  const clock = new TestClock()
  const silence = watchdog(clock, 100, 'nothing heard')
  for (let n = 0; n < 10; n++) {
    clock.advance(60)
    silence.touch()
  }
  clock.advance(99)
  expect(silence.signal.aborted).toBe(false)
  clock.advance(1)
  expect(silence.signal.aborted).toBe(true)
})

test('never aborts after it was cancelled', () => {
  const clock = new TestClock()
  const silence = watchdog(clock, 100, 'nothing heard')
  silence.cancel()
  clock.advance(1000)
  expect(silence.signal.aborted).toBe(false)
})
