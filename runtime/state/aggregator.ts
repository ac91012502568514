import { WeirError } from '#runtime/base/errors'
import { aNumber, aStoredValue, notAPromise, type Sync } from '#runtime/base/synchronous'
import { deepCopy } from './deep-copy.ts'

/**
 * How records are aggregated. `A` is stored, so it must be plain data; `add` and `merge` may change
 * and return their first argument, not the second. `merge` puts two partial aggregates together;
 * windows need it.
 */
export interface Aggregator<T, A, R> {
  create(): A
  add(accumulator: A, value: T): A
  result(accumulator: A): R
  merge(a: A, b: A): A
}

/** A running aggregate as a job gives it: none of its functions is async. */
export interface SyncAggregator<T, A, R> {
  create(): Sync<A>
  add(accumulator: A, value: T): Sync<A>
  result(accumulator: A): Sync<R>
}

/** The same for windows. */
export interface SyncMergingAggregator<T, A, R> extends SyncAggregator<T, A, R> {
  merge(a: A, b: A): Sync<A>
}

export const ACCUMULATOR = 'the accumulator, changed or another'
export const REDUCED = 'the value that is to be kept'

const same = <A>(a: A): A => a

export const counting: Aggregator<unknown, number, number> = {
  create: () => 0,
  add: (n) => n + 1,
  result: same,
  merge: (a, b) => a + b,
}

export const summing = <T>(of: (value: T) => number): Aggregator<T, number, number> => ({
  create: () => 0,
  add: (sum, value) => sum + aNumber(of(value), 'sum returned'),
  result: same,
  merge: (a, b) => a + b,
})

/** `of` is asked once per record; an empty aggregate is never shown. */
export const least = <T>(of: (value: T) => number): Aggregator<T, number, number> => ({
  create: () => Infinity,
  add: (min, value) => Math.min(min, aNumber(of(value), 'min returned')),
  result: same,
  merge: Math.min,
})

export const greatest = <T>(of: (value: T) => number): Aggregator<T, number, number> => ({
  create: () => -Infinity,
  add: (max, value) => Math.max(max, aNumber(of(value), 'max returned')),
  result: same,
  merge: Math.max,
})

/** A reduction as an aggregate: a list of no or one value, because a value may be anything. */
export const reducing = <T>(
  reduce: (reduced: T, value: T) => T,
): Aggregator<T, readonly [T] | readonly [], T> => ({
  create: () => [],
  add: (a, value) =>
    a.length === 0 ? [value] : [aStoredValue<T>(reduce(a[0], value), 'reduce returned', REDUCED)],
  result: (a) => a[0] as T,
  merge: (a, b) =>
    a.length === 0
      ? b
      : b.length === 0
        ? a
        : [aStoredValue<T>(reduce(a[0], b[0]), 'reduce returned', REDUCED)],
})

/** An aggregator of the job's code, which must not be async. */
export const userAggregator = <T, A, R>(given: SyncMergingAggregator<T, A, R>): Aggregator<T, A, R> => ({
  ...userRunningAggregator(given),
  merge: (a, b) => aStoredValue<A>(given.merge(a, b), 'merge returned', ACCUMULATOR),
})

/** The same where nothing is merged. The methods may be those of a class. */
export const userRunningAggregator = <T, A, R>(given: SyncAggregator<T, A, R>): Aggregator<T, A, R> => ({
  create: () => aStoredValue<A>(given.create(), 'create returned', ACCUMULATOR),
  add: (accumulator, value) => aStoredValue<A>(given.add(accumulator, value), 'add returned', ACCUMULATOR),
  result: (accumulator) => notAPromise<R>(given.result(accumulator), 'result returned'),
  merge: () => {
    throw new WeirError('BUG', 'A running aggregate was asked to merge.')
  },
})

/**
 * What may leave the operator: a copy where the aggregator gave the stored accumulator itself,
 * which later records will change.
 */
export function detach<R>(result: R, accumulator: unknown): R {
  return typeof result === 'object' && result !== null && (result as unknown) === accumulator
    ? deepCopy(result)
    : result
}
