import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { type } from '#runtime/graph/type-witness'
import { AggregateOperator } from '#runtime/operators/aggregate'
import { counting, greatest, least, summing, userRunningAggregator } from '#runtime/state/aggregator'
import { ProcessOperator } from '#runtime/operators/process'
import { ReduceOperator } from '#runtime/operators/reduce'
import { listState, valueState } from '#runtime/state/descriptors'
import { keyGroupOf, subtaskOfKeyGroup } from '#runtime/element/key-group'
import { OperatorHarness, type HarnessState } from '#runtime/testing/operator-harness'
import { runSteps, type Step } from '#test/kit/run-steps'
import { TestClock } from '#runtime/testing/test-clock'
import type { StreamOperator } from '#runtime/operators/stream-operator'

const words: Step<string>[] = 'the cat and the dog and the cow'.split(' ').map((send, at) => ({ send, at }))
const self = (word: string) => word

async function sameWithRestoreAnywhere<I>(
  create: () => StreamOperator<I>,
  steps: readonly Step<I>[],
  keyOf: (value: I) => unknown,
) {
  const expected = await runSteps(create, steps)
  for (let after = 0; after <= steps.length; after++) {
    expect(await runSteps(create, steps, { after })).toEqual(expected)
    const rescaled = await runSteps(create, steps, { after, rescaleTo: 3, keyOf })
    const sorted = (output: readonly unknown[]) => output.map((o) => JSON.stringify(o)).sort()
    expect(sorted(rescaled)).toEqual(sorted(expected))
  }
  return expected.map((o) => o.value)
}

/** Methods of a prototype, which a spread would not copy. */
class Longest {
  create(): string {
    return ''
  }
  add(longest: string, word: string): string {
    return word.length > longest.length ? word : longest
  }
  result(longest: string): string {
    return longest
  }
}

describe('AggregateOperator', () => {
  test('takes an aggregator that is an instance of a class', async () => {
    const harness = await OperatorHarness.open({
      create: () =>
        new AggregateOperator(
          () => 'all',
          userRunningAggregator(new Longest()),
          (_, longest) => longest,
        ),
    })
    for (const word of ['a', 'cat', 'is']) harness.send(word)
    expect(harness.values).toEqual(['a', 'cat', 'cat'])
  })

  test('counts by key, the same after a restore at any point and parallelism', async () => {
    const create = () => new AggregateOperator(self, counting, (key, count) => ({ key, count }))
    const values = await sameWithRestoreAnywhere(create, words, self)
    expect(values.slice(-2)).toEqual([
      { key: 'the', count: 3 },
      { key: 'cow', count: 1 },
    ])
  })

  test.each([
    ['sum', summing((n: number) => n), [3, 4, 9]],
    ['min', least((n: number) => n), [3, 1, 1]],
    ['max', greatest((n: number) => n), [3, 3, 5]],
  ])('%s', async (_, aggregator, expected) => {
    const steps = [3, 1, 5].map((send) => ({ send }))
    const values = await sameWithRestoreAnywhere(
      () =>
        new AggregateOperator(
          (_: number) => 'all',
          aggregator,
          (_, value) => value,
        ),
      steps,
      () => 'all',
    )
    expect(values).toEqual(expected)
  })

  test('what was emitted is not changed by later records, also if it was the accumulator', async () => {
    const list = {
      create: () => [] as string[],
      add: (a: string[], v: string) => (a.push(v), a),
      result: (a: string[]) => a,
      merge: (a: string[]) => a,
    }
    const harness = await OperatorHarness.open({
      create: () =>
        new AggregateOperator(
          (_: string) => 1,
          list,
          (_, value) => value,
        ),
    })
    harness.send('a')
    harness.send('b')
    expect(harness.values).toEqual([['a'], ['a', 'b']])
  })
})

describe('a key with a lone surrogate', () => {
  test('is one key with what it becomes on its way to other slots and in checkpoints', async () => {
    const steps: Step<string>[] = ['hi \ud83d', 'hi \ufffd', 'hi \ud83e'].map((send) => ({ send }))
    const create = () => new AggregateOperator(self, counting, (_, count) => count)
    expect((await sameWithRestoreAnywhere(create, steps, self)).at(-1)).toBe(3)
  })
})

describe('ReduceOperator', () => {
  test('emits the reduced value per record, also after a restore at any point and parallelism', async () => {
    interface Score {
      readonly team: string
      readonly points: number
    }
    const scores: Step<Score>[] = [
      { send: { team: 'a', points: 1 } },
      { send: { team: 'b', points: 5 } },
      { send: { team: 'a', points: 2 } },
    ]
    const create = () =>
      new ReduceOperator(
        (s: Score) => s.team,
        (a: Score, b: Score): Score => ({ team: a.team, points: a.points + b.points }),
      )
    expect(await sameWithRestoreAnywhere(create, scores, (s) => s.team)).toEqual([
      { team: 'a', points: 1 },
      { team: 'b', points: 5 },
      { team: 'a', points: 3 },
    ])
  })
})

describe('ProcessOperator', () => {
  /** Emits the words of a key together when the watermark passes 10 after the first of them. */
  const create = () =>
    new ProcessOperator((word: string) => word[0] as string, {
      emits: type<string>(),
      state: { seen: listState<string>(), first: valueState<number>() },
      onRecord(word, { state, timers, timestamp }) {
        state.seen.add(word)
        if (state.first.get() !== undefined) return
        state.first.set(timestamp)
        timers.setEventTimer(timestamp + 10)
      },
      onTimer({ key, time }, { state, out }) {
        out(`${key}@${time}: ${state.seen.get().join(' ')}`)
        state.seen.clear()
        state.first.clear()
      },
    })

  test('state and event timers survive a restore at any point and parallelism', async () => {
    const steps: Step<string>[] = [
      { send: 'ant', at: 1 },
      { send: 'bee', at: 3 },
      { send: 'ape', at: 4 },
      { watermark: 10 },
      { send: 'auk', at: 11 },
      { watermark: 11 },
      { send: 'asp', at: 12 },
      { watermark: 30 },
    ]
    expect(await sameWithRestoreAnywhere(create, steps, (word) => word[0])).toEqual([
      'a@11: ant ape auk',
      'b@13: bee',
      'a@22: asp',
    ])
  })

  test('timers fire before the watermark goes on', async () => {
    const harness = await OperatorHarness.open({ create })
    harness.send('ant', 1)
    harness.watermark(11)
    expect([harness.output, harness.watermarks]).toEqual([[{ value: 'a@11: ant', timestamp: 11 }], [11]])
  })

  test('a timer that sets its successor does not keep the end of the data from coming', async () => {
    const lines: string[] = []
    const stream = { write: (line: string) => void lines.push(line) }
    const harness = await OperatorHarness.open({
      logger: pino({ level: 'warn' }, stream),
      create: () =>
        new ProcessOperator<string, string, string, {}>((word) => word, {
          onRecord: (_, { timers, timestamp }) => timers.setEventTimer(timestamp + 10),
          onTimer({ key, time }, { timers, out }) {
            if (time > 1000) throw new Error('fires without end')
            out(`${key}@${time}`)
            timers.setEventTimer(time + 10)
          },
        }),
    })
    for (const word of ['ant', 'bee']) harness.send(word, 1)
    harness.watermark(21)
    harness.watermark(Infinity)
    harness.endBatch()
    const all = [11, 21, 31].flatMap((time) => ['ant', 'bee'].map((word) => `${word}@${time}`))
    expect([harness.values, harness.watermarks]).toEqual([all, [21, Infinity]])
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({ level: 40, droppedTimers: 2 }),
    ])
  })

  test('processing timers fire by the clock at the end of a batch', async () => {
    const clock = new TestClock(1000)
    const harness = await OperatorHarness.open({
      clock,
      create: () =>
        new ProcessOperator<string, string, string, {}>((word) => word, {
          onRecord: (_, { timers }) => timers.setProcessingTimer(timers.now() + 5, 'soon'),
          onTimer: ({ name, domain, time }, { key, out }) => out(`${domain} ${name} ${key} ${time}`),
        }),
    })
    harness.send('x')
    harness.endBatch()
    clock.advance(5)
    harness.endBatch()
    harness.endBatch()
    expect(harness.values).toEqual(['processing soon x 1005'])
  })

  test('goes on from a drained run where event time stood before its end', async () => {
    const drained = await OperatorHarness.open({ create })
    drained.send('ant', 1)
    drained.watermark(5)
    drained.watermark(Infinity)
    expect(drained.values).toEqual(['a@11: ant'])
    const again = await OperatorHarness.open({ create, attempt: '1.2' }, [await drained.snapshot(1)])
    again.send('ape', 20)
    again.endBatch()
    again.watermark(29)
    expect(again.values).toEqual([])
    again.watermark(30)
    expect(again.values).toEqual(['a@30: ape'])
  })

  test('after a rescale every key has the event time of its old subtask, for timers too', async () => {
    const open = (place: object, states: HarnessState[] = []) =>
      OperatorHarness.open<string, string>(
        {
          create: () =>
            new ProcessOperator<string, string, string, {}>((word) => word, {
              onRecord: (word, { timers, timestamp, out }) => {
                timers.setEventTimer(timestamp)
                out(`${word} at ${timers.watermark}`)
              },
              onTimer: ({ time }, { key, out }) => out(`${key} fires ${time}`),
            }),
          ...place,
        },
        states,
      )
    const [zero, one] = await Promise.all([0, 1].map((subtask) => open({ subtask, parallelism: 2 })))
    const owned = (subtask: number): string =>
      Array.from({ length: 50 }, (_, i) => `key-${i}`).find(
        (key) => subtaskOfKeyGroup(keyGroupOf(key, 128), 2, 128) === subtask,
      ) as string
    const [ahead, behind] = [owned(0), owned(1)]
    zero?.watermark(100)
    one?.watermark(50)
    // Overdue, and not fired before the barrier: no batch has ended since.
    zero?.send(ahead, 70)
    one?.send(behind, 70)
    const states = (await Promise.all([zero?.snapshot(1), one?.snapshot(1)])) as HarnessState[]
    const both = await open({ attempt: '1.2' }, states)
    both.endBatch()
    expect(both.values).toEqual([`${ahead} fires 70`])
    both.send(ahead, 80)
    both.send(behind, 80)
    both.endBatch()
    expect(both.values.slice(1)).toEqual([`${ahead} at 100`, `${behind} at 50`, `${ahead} fires 80`])
    both.watermark(75)
    expect(both.values.slice(4)).toEqual([`${behind} fires 70`])
    both.watermark(100)
    expect(both.values.slice(5)).toEqual([`${behind} fires 80`])
  })
})
