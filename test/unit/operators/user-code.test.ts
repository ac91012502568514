import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import type { Sink } from '#runtime/connectors/sink'
import type { Receiver } from '#runtime/element/receiver'
import { AggregateOperator } from '#runtime/operators/aggregate'
import {
  counting,
  greatest,
  least,
  reducing,
  summing,
  userAggregator,
  type Aggregator,
} from '#runtime/state/aggregator'
import { aggregatingState, listState, mapState, reducingState, valueState } from '#runtime/state/descriptors'
import { AssignTimestampsOperator } from '#runtime/operators/assign-timestamps'
import { FilterOperator } from '#runtime/operators/filter'
import { FlatMapOperator } from '#runtime/operators/flat-map'
import { MapOperator } from '#runtime/operators/map'
import { ProcessOperator, type ProcessContext } from '#runtime/operators/process'
import { ReduceOperator } from '#runtime/operators/reduce'
import { SinkOperator } from '#runtime/operators/sink'
import { SourceReadOperator } from '#runtime/operators/source-read'
import type { StreamOperator } from '#runtime/operators/stream-operator'
import { WindowOperator } from '#runtime/operators/window'
import { monotonous } from '#runtime/time/watermark-strategy'
import { tumbling } from '#runtime/time/window'
import { OperatorHarness } from '#runtime/testing/operator-harness'

const boom = (): never => {
  throw new TypeError('boom')
}
const window = (keyOf: (n: number) => unknown = boom, aggregator: Aggregator<number, any, any> = counting) =>
  new WindowOperator({
    keyOf,
    windows: tumbling(10),
    allowedLatenessMs: 0,
    aggregator,
    emit: (_, __, result: unknown) => result,
    late: undefined,
  })

function thrownBy(work: () => void): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('what user code throws', () => {
  test.each<[string, () => StreamOperator]>([
    ['map', () => new MapOperator(boom)],
    ['filter', () => new FilterOperator(boom)],
    ['flatMap', () => new FlatMapOperator(boom)],
    [
      'a generator of flatMap',
      () =>
        new FlatMapOperator(function* () {
          yield 1
          boom()
        }),
    ],
    ['assignTimestamps', () => new AssignTimestampsOperator(boom, monotonous())],
    ['reduce', () => new ReduceOperator(boom, (a) => a)],
    [
      'aggregate',
      () =>
        new AggregateOperator(
          (_: number) => 1,
          { ...counting, add: boom },
          (key) => key,
        ),
    ],
    ['process', () => new ProcessOperator((_: number) => 1, { onRecord: boom })],
    ['window', () => window()],
  ])('is named with the operator: %s', async (_, create) => {
    const harness = await OperatorHarness.open({
      create,
      uid: 'step-7',
      subtask: 2,
      parallelism: 3,
      location: 'job.ts:3:5',
    })
    const error = thrownBy(() => harness.send(1, 1))
    expect(error).toBeInstanceOf(WeirError)
    expect(error).toMatchObject({
      code: 'USR_FAILED',
      message:
        'Operator step-7, subtask 2 failed: boom. At job.ts:3:5. The record: 1. ' +
        'No record is skipped: mend the function, or catch there what may be left out. ' +
        'Until then each restart comes to it again.',
      retry: 'restart-job',
      context: { uid: 'step-7', subtask: 2, line: 'job.ts:3:5', record: '1' },
      cause: expect.any(TypeError),
    })
  })

  test('timers too', async () => {
    const create = () =>
      new ProcessOperator((_: number) => 1, {
        onRecord: (_, { timers }) => timers.setEventTimer(5),
        onTimer: boom,
      })
    const harness = await OperatorHarness.open({ create })
    harness.send(1, 1)
    expect(() => harness.watermark(5)).toThrow('Operator operator, subtask 0 failed: boom')
  })
})

/** Job files are not checked for types when they run, so anything may come back from a function. */
const later = (async (value: unknown) => value) as any
const self = (n: number) => n
const aggregate = (aggregator: Aggregator<number, any, any>, keyOf: (n: number) => unknown = self) =>
  new AggregateOperator(keyOf, aggregator, (_, result: unknown) => result)
const withAsync = (part: Partial<Aggregator<number, any, any>>) => userAggregator({ ...counting, ...part })
const source = {
  description: 'promises',
  bounded: true,
  createDiscovery: () => ({ open() {}, poll: () => 'done' as const, snapshot: () => undefined }),
  createReader: () => ({
    addSplit() {},
    poll(out: Receiver) {
      out.onRecord(later(1), 1)
      return 'done' as const
    },
    snapshot: () => [],
  }),
}
const sink: Sink<number> = {
  description: 'async',
  guarantee: 'at-least-once',
  createWriter: () => ({
    write: later,
    prepare: () => Promise.resolve(undefined),
    commit: () => Promise.resolve('committed'),
    close() {},
  }),
}

describe('user code that is async', () => {
  test.each<[string, () => StreamOperator]>([
    ['map returned', () => new MapOperator(later)],
    ['filter returned', () => new FilterOperator(later)],
    ['flatMap returned', () => new FlatMapOperator(later)],
    ['flatMap gave', () => new FlatMapOperator((n) => [n].map(later))],
    ['assignTimestamps returned', () => new AssignTimestampsOperator(later, monotonous())],
    ['keyBy returned', () => new ReduceOperator(later, self)],
    ['keyBy returned', () => aggregate(counting, later)],
    ['keyBy returned', () => new ProcessOperator(later, { onRecord: () => undefined })],
    ['keyBy returned', () => window(later)],
    ['reduce returned', () => new ReduceOperator((_: number) => 1, later)],
    ['reduce returned', () => aggregate(reducing(later), () => 1)],
    ['sum returned', () => aggregate(summing(later))],
    ['min returned', () => aggregate(least(later))],
    ['max returned', () => aggregate(greatest(later))],
    ['create returned', () => aggregate(withAsync({ create: later }))],
    ['add returned', () => aggregate(withAsync({ add: later }))],
    ['result returned', () => aggregate(withAsync({ result: later }))],
    ['add returned', () => window(self, withAsync({ add: later }))],
    ['onRecord returned', () => new ProcessOperator(self, { onRecord: later })],
    ['out was given', () => new ProcessOperator(self, { onRecord: (n, { out }) => out(later(n)) })],
    ['write returned', () => new SinkOperator(sink)],
  ])('is refused, and no restart is tried: %s a promise', async (what, create) => {
    const harness = await OperatorHarness.open({ create, uid: 'step-7' })
    const error = thrownBy(() => [1, 2].forEach((n) => harness.send(n, 1)))
    expect(error).toMatchObject({ code: 'USR_FAILED', retry: 'never' })
    expect(String(error)).toContain(`Operator step-7, subtask 0 failed: ${what} a promise. `)
    expect(harness.values.filter((value) => typeof value === 'object')).toEqual([])
  })

  test('is refused when timers fire, sources are read and windows merged', async () => {
    const timer = await OperatorHarness.open({
      create: () =>
        new ProcessOperator(self, { onRecord: (_, { timers }) => timers.setEventTimer(5), onTimer: later }),
    })
    timer.send(1, 1)
    expect(() => timer.watermark(5)).toThrow(
      'Operator operator, subtask 0 failed: onTimer returned a promise',
    )
    const reader = await OperatorHarness.open({ create: () => new SourceReadOperator(source) })
    expect(() => reader.poll()).toThrow('the source gave a promise')
    const merged = withAsync({ merge: later })
    expect(() => merged.merge(1, 2)).toThrow('merge returned a promise')
    expect(() => reducing<number>(later).merge([1], [2])).toThrow('reduce returned a promise')
  })

  test.each<[string, (state: any) => void]>([
    ['set was given', ({ value }) => value.set(later(1))],
    ['add was given', ({ list }) => list.add(later(1))],
    ['put was given', ({ map }) => map.put('a', later(1))],
    ['reduce returned', ({ reduced }) => [1, 2].forEach((n) => reduced.add(n))],
    ['add returned', ({ added }) => added.add(1)],
    ['create returned', ({ created }) => created.add(1)],
    ['result returned', ({ resulting }) => (resulting.add(1), resulting.get())],
  ])('is refused by state: %s a promise', async (what, use) => {
    const state = {
      value: valueState(),
      list: listState(),
      map: mapState(),
      reduced: reducingState(later),
      added: aggregatingState({ ...counting, add: later }),
      created: aggregatingState({ ...counting, create: later }),
      resulting: aggregatingState({ ...counting, result: later }),
    }
    const harness = await OperatorHarness.open({
      create: () => new ProcessOperator(self, { state, onRecord: (_, context) => use(context.state) }),
    })
    expect(() => harness.send(1, 1)).toThrow(`Operator operator, subtask 0 failed: ${what} a promise`)
  })

  test('is no matter of records that only look like it', async () => {
    const harness = await OperatorHarness.open({
      create: () => new MapOperator((text: string) => JSON.parse(text) as unknown),
    })
    harness.send('{"then":1}')
    expect(harness.values.map((value) => JSON.stringify(value))).toEqual(['{"then":1}'])
  })
})

const total = { total: valueState(0) }
type Context = ProcessContext<number, number, typeof total>

describe('what a process step is given', () => {
  test.each<[string, (context: Context) => void]>([
    ['out', ({ out }) => out(1)],
    ['state', ({ state }) => state.total.set(1)],
    ['state read', ({ state }) => state.total.get()],
    ['timers', ({ timers }) => timers.setProcessingTimer(1)],
  ])('fails the task when it is used after the call: %s', async (_, use) => {
    let kept: Context | undefined
    const harness = await OperatorHarness.open({
      uid: 'step-7',
      create: () =>
        new ProcessOperator<number, number, number, typeof total>(self, {
          state: total,
          onRecord(_value, context) {
            context.timers.setEventTimer(5)
            kept = context
          },
          onTimer: (_timer, context) => use(context),
        }),
    })
    const stray = () => use(kept as Context)
    harness.send(1, 1)
    expect(stray).toThrow('used outside of onRecord and onTimer')
    harness.watermark(5)
    expect(stray).toThrow('used outside of onRecord and onTimer')
    expect(harness.failures).toHaveLength(2)
    expect(harness.values.length).toBeLessThanOrEqual(1)
  })
})
