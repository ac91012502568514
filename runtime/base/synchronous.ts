import type { Refused } from './refused.ts'

/** What a function of the job's code may return: anything that need not be waited for. */
export type Sync<R> =
  R extends PromiseLike<unknown>
    ? Refused<'a promise is not waited for: functions of a job do their work within the call'>
    : R

/** A function of the job's code does not do its work within its call. */
export class NotSynchronous extends Error {}

/**
 * `value`, which the job's code has given. `what` says how: "map returned".
 * @throws {NotSynchronous} when it is a promise or anything else that can be awaited
 */
export function notAPromise<T>(value: T | Sync<T>, what: string): T {
  if (typeof value === 'object' && value !== null && isThenable(value))
    throw new NotSynchronous(
      `${what} a promise. Functions of a job do their work within the call, without async: ` +
        'what has to be waited for is done in a source, or by prepare and commit of a sink.',
    )
  return value as T
}

/** Asked of every record: where shapes differ, `in` costs twice what reading the member does. */
const isThenable = (value: { readonly then?: unknown }): boolean => typeof value.then === 'function'
