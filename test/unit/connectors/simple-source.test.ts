import { describe, expect, test } from 'vitest'
import { simpleSource, type SimpleSourceOptions } from '#runtime/connectors/simple/source'
import { SourceDiscoverOperator } from '#runtime/operators/source-discover'
import { SourceReadOperator } from '#runtime/operators/source-read'
import { type HarnessState, OperatorHarness } from '#runtime/testing/operator-harness'

const WHOLE = 'whole'
type Options = SimpleSourceOptions<number, number>

/** 0, 1, 2 ... up to `end`. */
const upTo = (end: number): Options => ({
  name: 'numbers',
  bounded: true,
  async *read(from = 0) {
    for (let value = from; value < end; value++) yield { value, next: value + 1 }
  },
})

const readerOf = (options: Options, states: readonly HarnessState[] = []) =>
  OperatorHarness.open(
    { create: () => new SourceReadOperator(simpleSource(options)), uid: 'numbers' },
    states,
  )

describe('simpleSource()', () => {
  test('gives its only split once', async () => {
    const create = () => new SourceDiscoverOperator(simpleSource(upTo(1)))
    await using first = await OperatorHarness.open({ create, uid: 'numbers' })
    first.poll()
    first.poll()
    expect(first.values).toEqual([WHOLE])
    const state = await first.snapshot(1)
    await using second = await OperatorHarness.open({ create, uid: 'numbers' }, [state])
    second.poll()
    expect(second.values).toEqual([])
  })

  test('reads on behind the last record taken, wherever it is interrupted', async () => {
    for (const taken of [0, 1, 2, 5]) {
      await using before = await readerOf(upTo(5))
      before.send(WHOLE)
      await before.pollAll(() => before.values.length >= taken)
      const state = await before.snapshot(1)
      const seen = [...before.values]
      await using after = await readerOf(upTo(5), [state])
      await after.pollAll()
      expect([...seen, ...after.values]).toEqual([0, 1, 2, 3, 4])
    }
  })

  test('is read ahead of the job by no more than it may', async () => {
    let given = 0
    await using harness = await readerOf({
      name: 'numbers',
      *read() {
        for (;;) yield { value: given, next: ++given }
      },
    })
    harness.send(WHOLE)
    await harness.woken()
    harness.poll()
    expect(given).toBeLessThanOrEqual(2049)
    expect(harness.values.length).toBeLessThanOrEqual(1024)
  })

  test.each<[string, Partial<Options>, string]>([
    ['a throw', { read: () => [null].map(() => JSON.parse('{')) }, 'JSON'],
    [
      'an end that was not said',
      { bounded: false },
      'numbers: read came to an end. Expected records without end, or',
    ],
    [
      'a record without a position',
      { read: () => [{ value: 1 } as any] },
      'numbers: read gave {"value":1}. Expected { value, next }, next being where to read on.',
    ],
  ])('%s fails the task', async (_, more, message) => {
    await using harness = await readerOf({ ...upTo(3), ...more })
    harness.send(WHOLE)
    await expect(harness.pollAll()).rejects.toThrow(message)
  })

  test('nothing is read any more once it is closed', async () => {
    const signals: AbortSignal[] = []
    const harness = await readerOf({
      name: 'numbers',
      read(_, signal) {
        signals.push(signal)
        return { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) }
      },
    })
    harness.send(WHOLE)
    await harness[Symbol.asyncDispose]()
    expect(signals.map((signal) => signal.aborted)).toEqual([true])
  })
})
