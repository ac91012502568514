import { JobFault } from '#runtime/base/job-fault'
import { notAPromise } from '#runtime/base/synchronous'
import { PassThroughOperator } from './pass-through.ts'

/** Passes the records for which the predicate is true. */
export class FilterOperator<T> extends PassThroughOperator<T, T> {
  readonly #keep: (value: T) => boolean

  constructor(keep: (value: T) => boolean) {
    super()
    this.#keep = keep
  }

  override onRecord(value: T, timestamp: number): void {
    let keep: boolean
    try {
      keep = notAPromise(this.#keep(value), 'filter returned')
      if (keep === undefined) throw new JobFault('filter returned undefined: expected true or false.')
    } catch (cause) {
      throw this.failed(cause, { record: value })
    }
    if (keep) this.out.onRecord(value, timestamp)
  }
}
