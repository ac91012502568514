import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { AssignTimestampsOperator } from '#runtime/operators/assign-timestamps'
import { FilterOperator } from '#runtime/operators/filter'
import { FlatMapOperator } from '#runtime/operators/flat-map'
import type { Duration } from '#runtime/base/units'
import { MapOperator } from '#runtime/operators/map'
import { boundedOutOfOrder, monotonous } from '#runtime/time/watermark-strategy'
import { OperatorHarness } from '#runtime/testing/operator-harness'
import { TestClock } from '#runtime/testing/test-clock'

describe('MapOperator', () => {
  test('maps each record and keeps its timestamp', async () => {
    const harness = await OperatorHarness.open({ create: () => new MapOperator((n: number) => n * 2) })
    harness.send(1, 10)
    harness.send(2)
    expect(harness.output).toEqual([
      { value: 2, timestamp: 10 },
      { value: 4, timestamp: -Infinity },
    ])
  })

  test('passes watermarks and idleness on at once', async () => {
    const harness = await OperatorHarness.open({ create: () => new MapOperator((n: number) => n) })
    harness.watermark(5)
    harness.idle()
    expect([harness.watermarks, harness.idles]).toEqual([[5], 1])
  })
})

describe('FilterOperator', () => {
  test('keeps what the predicate wants', async () => {
    const harness = await OperatorHarness.open({
      create: () => new FilterOperator((n: number) => n % 2 === 0),
    })
    for (const n of [1, 2, 3, 4]) harness.send(n, n)
    expect(harness.output).toEqual([
      { value: 2, timestamp: 2 },
      { value: 4, timestamp: 4 },
    ])
  })
})

describe('FlatMapOperator', () => {
  test.each([
    ['an array', (n: number) => Array.from({ length: n }, (_, i) => i)],
    ['a set', (n: number) => new Set(Array.from({ length: n }, (_, i) => i))],
    [
      'a generator',
      function* (n: number) {
        for (let i = 0; i < n; i++) yield i
      },
    ],
  ])('emits what %s holds, with the timestamp of the record', async (_, fn) => {
    const harness = await OperatorHarness.open({ create: () => new FlatMapOperator<number, number>(fn) })
    harness.send(0, 1)
    harness.send(2, 7)
    expect(harness.output).toEqual([
      { value: 0, timestamp: 7 },
      { value: 1, timestamp: 7 },
    ])
  })
})

describe('AssignTimestampsOperator', () => {
  const open = (idleAfter?: Duration, clock = new TestClock()) =>
    OperatorHarness.open({
      create: () =>
        new AssignTimestampsOperator(
          (n: number) => n,
          boundedOutOfOrder('2ms', idleAfter === undefined ? {} : { idleAfter }),
        ),
      clock,
    })

  test('emits the watermark of a batch at its end', async () => {
    const harness = await open()
    harness.send(10)
    harness.send(7)
    expect(harness.watermarks).toEqual([])
    harness.endBatch()
    harness.endBatch()
    expect([harness.output.map((o) => o.timestamp), harness.watermarks]).toEqual([[10, 7], [7]])
  })

  test('replaces watermarks from above, except the last', async () => {
    const harness = await open()
    harness.watermark(99)
    harness.watermark(Infinity)
    expect(harness.watermarks).toEqual([Infinity])
  })

  test('tells once that it is idle, and again after records', async () => {
    const clock = new TestClock()
    const harness = await open('1s', clock)
    const tick = (ms: number) => {
      clock.advance(ms)
      harness.endBatch()
    }
    harness.send(1)
    tick(0)
    tick(999)
    expect(harness.idles).toBe(0)
    tick(1)
    tick(5000)
    expect(harness.idles).toBe(1)
    harness.send(2)
    tick(0)
    tick(1000)
    expect(harness.idles).toBe(2)
  })

  test('is idle when its source has nothing to read, unless the job says after what time', async () => {
    const [plain, timed] = [await open(), await open('1m')]
    plain.idle()
    timed.idle()
    expect([plain.idles, timed.idles]).toEqual([1, 0])
  })

  test.each([
    [
      [1_700_000_000, 1_700_000_001],
      ['1970-01-20T16:13:20.000Z', '2023-11-14T22:13:20.000Z', 'multiply them by 1000'],
    ],
    [[1_700_000_000_000, 1_700_000_000], []],
    [[5, 6], []],
  ])('warns once of a first timestamp that looks like seconds: %j', async (times, said) => {
    const lines: string[] = []
    const logger = pino({ base: null }, { write: (line: string) => void lines.push(line) })
    const harness = await OperatorHarness.open({
      create: () => new AssignTimestampsOperator((n: number) => n, monotonous()),
      logger,
    })
    for (const time of times) harness.send(time)
    expect(lines).toHaveLength(said.length === 0 ? 0 : 1)
    for (const part of said) expect(lines[0]).toContain(part)
    expect(harness.values).toEqual(times)
  })

  test('refuses what is no time, with the record', async () => {
    const harness = await OperatorHarness.open({
      create: () => new AssignTimestampsOperator((r: { at: number }) => r.at, boundedOutOfOrder('1s')),
    })
    expect(() => harness.send({ at: NaN })).toThrow(
      'assignTimestamps returned NaN. Expected milliseconds since the epoch, such as ' +
        'date.getTime(). The record: {"at":NaN}.',
    )
  })
})
