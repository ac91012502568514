import { describe, expect, test } from 'vitest'
import { WeirError } from '#runtime/base/errors'
import { AggregateOperator } from '#runtime/operators/aggregate'
import { counting } from '#runtime/state/aggregator'
import { AssignTimestampsOperator } from '#runtime/operators/assign-timestamps'
import { FilterOperator } from '#runtime/operators/filter'
import { FlatMapOperator } from '#runtime/operators/flat-map'
import { MapOperator } from '#runtime/operators/map'
import { ProcessOperator } from '#runtime/operators/process'
import { ReduceOperator } from '#runtime/operators/reduce'
import type { StreamOperator } from '#runtime/operators/stream-operator'
import { WindowOperator } from '#runtime/operators/window'
import { monotonous } from '#runtime/time/watermark-strategy'
import { tumbling } from '#runtime/time/window'
import { OperatorHarness } from '#runtime/testing/operator-harness'

const boom = (): never => {
  throw new TypeError('boom')
}
const window = () =>
  new WindowOperator({
    keyOf: boom,
    windows: tumbling(10),
    allowedLatenessMs: 0,
    aggregator: counting,
    emit: (key) => key,
    late: undefined,
  })

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
    ['window', window],
  ])('is named with the operator: %s', async (_, create) => {
    const harness = await OperatorHarness.open({ create, uid: 'step-7', subtask: 2, parallelism: 3 })
    const error = ((): unknown => {
      try {
        harness.send(1, 1)
      } catch (e) {
        return e
      }
    })()
    expect(error).toBeInstanceOf(WeirError)
    expect(error).toMatchObject({
      code: 'USR_FAILED',
      message: 'Operator step-7, subtask 2 failed: boom',
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
