import { describe, expect, test } from 'vitest'
import type { Source } from '#runtime/connectors/source'
import { generator } from '#runtime/connectors/generator/source'
import { NO_TIMESTAMP } from '#runtime/element/receiver'
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

interface Step {
  readonly split: string
  readonly value?: number
  readonly ends?: true
}

/** Reads what `steps` say, one at each poll. */
function scripted(steps: readonly Step[], named: boolean): Source<number, string, number> {
  const left = [...steps]
  return {
    description: 'scripted',
    bounded: true,
    createDiscovery: () => ({ open() {}, poll: () => 'done', snapshot: () => undefined }),
    createReader: () => ({
      addSplit() {},
      poll(out) {
        const step = left.shift()
        if (step === undefined) return 'done'
        if (named) out.reading(step.split)
        if (step.value !== undefined) out.onRecord(step.value, NO_TIMESTAMP)
        if (named && step.ends) out.finished(step.split)
        return 'progressed'
      },
      snapshot: () => [],
    }),
  }
}

async function sayings(steps: readonly Step[], named = true) {
  const harness = await OperatorHarness.open({ create: () => new SourceReadOperator(scripted(steps, named)) })
  return { harness, said: () => harness.splits.splice(0) }
}

describe('a reader that names its splits', () => {
  test('tells event time of all that are there before the first record of any', async () => {
    const { harness, said } = await sayings([
      { split: 'a', value: 1 },
      { split: 'a', ends: true },
      { split: 'b', value: 2 },
    ])
    for (const split of ['a', 'b']) harness.send(split)
    expect(said()).toEqual([])
    harness.poll()
    expect(said()).toEqual(['0 added', '1 added', '2 added', '1 current'])
    harness.poll()
    expect(said()).toEqual(['1 current', '1 ended'])
    harness.send('c')
    harness.poll()
    expect(said()).toEqual(['3 added', '2 current'])
  })

  test('holds event time until discovery has given what was there at the start', async () => {
    const { harness, said } = await sayings([{ split: 'a', value: 1 }])
    harness.send('a')
    harness.poll()
    said()
    harness.idle()
    harness.idle()
    expect(said()).toEqual(['0 ended'])
  })

  test('needs no hold where discovery was first', async () => {
    const { harness, said } = await sayings([{ split: 'a', value: 1 }])
    harness.send('a')
    harness.idle()
    harness.poll()
    expect(said()).toEqual(['1 added', '1 current'])
  })
})

test('of a reader that names no splits nothing is said', async () => {
  const { harness, said } = await sayings([{ split: 'a', value: 1 }, { split: 'a' }], false)
  harness.send('a')
  for (let i = 0; i < 3; i++) harness.poll()
  harness.idle()
  expect(said()).toEqual([])
})
