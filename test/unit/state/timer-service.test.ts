import { describe, expect, test } from 'vitest'
import { HeapBackend } from '#runtime/state/heap-backend'
import { KeyedContext } from '#runtime/state/keyed-context'
import { encodeStateFile, openStateFile } from '#runtime/state/snapshot-format'
import { TimerService } from '#runtime/state/timer-service'

const heapBackend = () =>
  new HeapBackend({ uid: 'op', keyGroups: { from: 0, to: 128 }, maxParallelism: 128, monotonic: () => 0 })

function timerService(backend = heapBackend()) {
  const context = new KeyedContext<string>()
  const timers = new TimerService(backend, context, () => 0)
  const fired: string[] = []
  const record = (timer: { key: string; time: number; name: string; domain: string }) => {
    expect(context.key).toBe(timer.key)
    fired.push(`${timer.domain} ${timer.key}@${timer.time}${timer.name === '' ? '' : `:${timer.name}`}`)
  }
  const set = (key: string, time: number, name?: string) => {
    context.setKey(key)
    timers.setEventTimer(time, name)
  }
  return { backend, context, timers, fired, record, set }
}

function copyOf(backend: HeapBackend): HeapBackend {
  const snapshot = backend.snapshot(1, 0)
  while (!snapshot.step(1)) continue
  const copy = heapBackend()
  copy.restore(
    openStateFile(encodeStateFile({ mode: 'full', sections: snapshot.sections() }, { compress: false })),
    'op',
  )
  return copy
}

describe('TimerService', () => {
  test('fires what the watermark has reached, earliest first, with the key set', () => {
    const { timers, set, fired, record } = timerService()
    set('a', 30)
    set('b', 10)
    set('a', 20, 'x')
    set('a', 20, 'y')
    expect(timers.advanceEventTime(20, record)).toBe(true)
    expect(fired).toEqual(['event b@10', 'event a@20:x', 'event a@20:y'])
    expect([timers.watermark, timers.size]).toEqual([20, 1])
  })

  test('fires a timer once however often it was set', () => {
    const { timers, set, fired, record } = timerService()
    set('a', 10)
    set('a', 10)
    timers.deleteEventTimer(10)
    set('a', 10)
    timers.advanceEventTime(10, record)
    timers.advanceEventTime(11, record)
    expect(fired).toEqual(['event a@10'])
  })

  test('does not fire a deleted timer', () => {
    const { timers, set, fired, record } = timerService()
    set('a', 10)
    set('a', 10, 'x')
    timers.deleteEventTimer(10)
    timers.deleteEventTimer(99)
    timers.advanceEventTime(Infinity, record)
    expect(fired).toEqual(['event a@10:x'])
  })

  test('fires timers set while firing, if they are due', () => {
    const { timers, set, fired, record } = timerService()
    set('a', 10)
    timers.advanceEventTime(20, (timer) => {
      record(timer)
      if (timer.time < 25) timers.setEventTimer(timer.time + 5)
    })
    expect(fired).toEqual(['event a@10', 'event a@15', 'event a@20'])
    expect(timers.size).toBe(1)
  })

  test('at the end of event time fires what is set, drops what is set from then on, and counts it', () => {
    const { timers, set, fired, record } = timerService()
    set('a', 10)
    set('b', 20)
    set('b', Infinity)
    timers.advanceEventTime(Infinity, (timer) => {
      record(timer)
      if (fired.length > 10) throw new Error('fires without end')
      timers.setEventTimer(timer.time + 60)
      if (timer.key === 'b') timers.setEventTimer(Infinity)
    })
    expect(fired).toEqual(['event a@10', 'event b@20', 'event b@Infinity'])
    set('a', 5)
    timers.fireEventTimers(record)
    // a@70 and b@80, b@Infinity twice after it has fired, and a@5.
    expect([fired.length, timers.size, timers.dropped]).toEqual([3, 0, 5])
    expect(() => set('a', Number.NaN)).toThrow('Cannot set a timer for NaN')
  })

  test('stops at its budget, and a snapshot taken then holds the rest', () => {
    const { backend, timers, set, fired, record } = timerService()
    for (let i = 0; i < 5; i++) set('a', i)
    expect(timers.advanceEventTime(10, record, 2)).toBe(false)
    const rest = timerService(copyOf(backend))
    expect(timers.advanceEventTime(10, record, 3)).toBe(true)
    expect(fired).toHaveLength(5)
    rest.timers.advanceEventTime(10, rest.record)
    expect(rest.fired).toEqual(['event a@2', 'event a@3', 'event a@4'])
  })

  test('keeps event and processing time apart; overdue processing timers fire after a restore', () => {
    const first = timerService()
    first.set('a', 10)
    first.timers.setProcessingTimer(1_000, 'p')
    expect(first.timers.nextProcessingTime).toBe(1_000)
    expect(first.timers.advanceProcessingTime(999, first.record)).toBe(true)
    const { timers, fired, record } = timerService(copyOf(first.backend))
    timers.advanceProcessingTime(5_000, record)
    expect(fired).toEqual(['processing a@1000:p'])
    expect([timers.nextProcessingTime, timers.size]).toEqual([undefined, 1])
  })

  test('does not grow with timers that are moved again and again', () => {
    const { timers, set, fired, record } = timerService()
    for (let i = 0; i < 10_000; i++) {
      set('a', i)
      timers.deleteEventTimer(i - 1)
    }
    expect(timers.size).toBe(1)
    timers.advanceEventTime(1e9, record)
    expect(fired).toEqual(['event a@9999'])
  })

  test('gives the same key before and after a restore, also where it has a lone surrogate', () => {
    const first = timerService()
    const fired: unknown[] = []
    first.set('\ud83d', 10)
    first.set('\ufffd', 10)
    const second = timerService(copyOf(first.backend))
    for (const { timers } of [first, second]) timers.advanceEventTime(10, ({ key }) => fired.push(key))
    expect(fired).toEqual(['\ufffd', '\ufffd'])
  })

  test('refuses a time that is none', () => {
    expect(() => timerService().set('a', Number.NaN)).toThrow('Cannot set a timer for NaN')
  })
})
