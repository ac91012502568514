import { JobFault } from './job-fault.ts'
import { preview } from './preview.ts'
import type { Refused } from './refused.ts'

/** What a function of the job's code may return: anything that need not be waited for. */
export type Sync<R> =
  R extends PromiseLike<unknown>
    ? Refused<'a promise is not waited for: functions of a job do their work within the call'>
    : R

/**
 * `value`, which the job's code has given. `what` says how: "map returned".
 * @throws {JobFault} when it is a promise or anything else that can be awaited
 */
export function notAPromise<T>(value: T | Sync<T>, what: string): T {
  if (typeof value === 'object' && value !== null && isThenable(value))
    throw new JobFault(
      `${what} a promise. Functions of a job do their work within the call, without async: ` +
        'what has to be waited for is done in a source, or by prepare and commit of a sink.',
    )
  return value as T
}

/**
 * `value`, which the job's code has given, where a sum or comparison would go on with anything.
 * @throws {JobFault} when it is not a number
 */
export function aNumber(value: unknown, what: string): number {
  if (typeof value === 'number' && value === value) return value
  notAPromise(value, what)
  throw new JobFault(`${what} ${preview(value)}: expected a number.`)
}

/**
 * `value`, which is to be stored: undefined would remove what is stored, as a function without
 * `return` gives it.
 * @throws {JobFault} when it is undefined or can be awaited
 */
export function aStoredValue<T>(value: T | Sync<T>, what: string, expected: string): T {
  if (value === undefined) throw new JobFault(`${what} undefined: expected ${expected}.`)
  return notAPromise<T>(value, what)
}

/** Asked of every record: where shapes differ, `in` costs twice what reading the member does. */
const isThenable = (value: { readonly then?: unknown }): boolean => typeof value.then === 'function'
