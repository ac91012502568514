import { describe, expect, test } from 'vitest'
import { generator, type GeneratorOptions } from '#runtime/connectors/generator/source'
import { SourceDiscoverOperator } from '#runtime/operators/source-discover'
import { SourceReadOperator } from '#runtime/operators/source-read'
import { OperatorHarness } from '#runtime/testing/operator-harness'
import { TestClock } from '#runtime/testing/test-clock'

const splitsOf = async (options: GeneratorOptions<number>) => {
  const discover = await OperatorHarness.open({
    create: () => new SourceDiscoverOperator(generator(options)),
  })
  await discover.pollAll(
    () => options.count === undefined && discover.output.length === (options.splits ?? 1),
  )
  return discover
}
const reader = (
  options: GeneratorOptions<number>,
  clock = new TestClock(),
  states = [] as Parameters<typeof OperatorHarness.open>[1],
  place = {},
) =>
  OperatorHarness.open({ create: () => new SourceReadOperator(generator(options)), clock, ...place }, states)
const same = { make: (n: number) => n }

describe('generator()', () => {
  test('makes the records in order with one split', async () => {
    const options = { ...same, count: 5000 }
    const harness = await reader(options)
    for (const split of (await splitsOf(options)).values) harness.send(split)
    await harness.pollAll()
    expect(harness.values).toEqual(Array.from({ length: 5000 }, (_, i) => i))
  })

  test.each([1, 2, 3, 7])('makes each record once with %i splits', async (splits) => {
    const options = { ...same, count: 100, splits }
    const harness = await reader(options)
    for (const split of (await splitsOf(options)).values) harness.send(split)
    await harness.pollAll()
    expect(harness.values.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  test('goes on from its position after a restore at any poll, at another parallelism', async () => {
    const options = { ...same, count: 10_000, splits: 3 }
    const splits = (await splitsOf(options)).values
    for (let polls = 0; polls < 12; polls++) {
      const first = await reader(options)
      for (const split of splits) first.send(split)
      for (let i = 0; i < polls; i++) first.poll()
      const state = await first.snapshot(1)
      const second = await Promise.all(
        [0, 1].map((subtask) => reader(options, new TestClock(), [state], { subtask, parallelism: 2 })),
      )
      for (const harness of second) await harness.pollAll()
      const all = [...first.values, ...second.flatMap((h) => h.values)]
      expect(all.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 10_000 }, (_, i) => i))
    }
  })

  test('discovery hands no split out twice', async () => {
    const options = { ...same, count: 10, splits: 4 }
    const first = await splitsOf(options)
    const again = await OperatorHarness.open(
      { create: () => new SourceDiscoverOperator(generator(options)) },
      [await first.snapshot(1)],
    )
    await again.pollAll()
    expect([first.output.length, again.output.length]).toEqual([4, 0])
  })

  test('keeps to its rate', async () => {
    const clock = new TestClock()
    const options = { ...same, rate: 100 }
    const harness = await reader(options, clock)
    for (const split of (await splitsOf(options)).values) harness.send(split)
    expect(harness.poll()).toBe('idle')
    clock.advance(50)
    expect(harness.poll()).toBe('progressed')
    expect(harness.values).toEqual([0, 1, 2, 3, 4])
    expect(harness.poll()).toBe('idle')
    await harness.woken()
    clock.advance(10)
    await harness.woken()
    harness.poll()
    expect(harness.values).toHaveLength(6)
  })

  test('a reader without splits does nothing', async () => {
    const endless = await reader(same)
    expect([endless.poll(), endless.poll()]).toEqual(['done', 'done'])
  })

  test.each([
    [{ count: -1 }, 'count is -1'],
    [{ count: 1.5 }, 'count is 1.5'],
    [{ rate: 0 }, 'rate is 0'],
    [{ splits: 0 }, 'splits is 0'],
    [{ make: undefined }, 'make is not a function'],
  ])('refuses %j', (options, message) => {
    expect(() => generator({ ...same, ...options } as GeneratorOptions<number>)).toThrow(message)
  })
})
