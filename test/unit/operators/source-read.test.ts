import { describe, expect, test } from 'vitest'
import { generator } from '#runtime/connectors/generator/source'
import { SourceReadOperator } from '#runtime/operators/source-read'
import { OperatorHarness } from '#runtime/testing/operator-harness'
import { TestClock } from '#runtime/testing/test-clock'

async function reading(count?: number) {
  const clock = new TestClock()
  const options = { make: (n: number) => n, rate: 1, ...(count === undefined ? {} : { count }) }
  const harness = await OperatorHarness.open({
    create: () => new SourceReadOperator(generator(options)),
    clock,
  })
  const idlesAfter = (ms: number) => {
    clock.advance(ms)
    harness.poll()
    return harness.idles
  }
  return { harness, idlesAfter }
}

describe('a reader without splits', () => {
  test('holds back event time for ten seconds, in which what was found may still come', async () => {
    const { idlesAfter } = await reading()
    expect([idlesAfter(0), idlesAfter(9999), idlesAfter(1), idlesAfter(60_000)]).toEqual([0, 0, 1, 1])
  })

  test('waits anew after a split came', async () => {
    const { harness, idlesAfter } = await reading()
    idlesAfter(0)
    idlesAfter(9000)
    harness.send({ index: 0, of: 1 })
    expect([idlesAfter(5000), idlesAfter(60_000)]).toEqual([0, 0])
  })

  test('is never idle where discovery ends: its end comes instead', async () => {
    const { idlesAfter } = await reading(0)
    expect([idlesAfter(0), idlesAfter(60_000)]).toEqual([0, 0])
  })
})
