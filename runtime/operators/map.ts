import { notAPromise } from '#runtime/base/synchronous'
import { PassThroughOperator } from './pass-through.ts'

/** One record in, one out, with the same timestamp. */
export class MapOperator<I, O> extends PassThroughOperator<I, O> {
  readonly #fn: (value: I) => O

  constructor(fn: (value: I) => O) {
    super()
    this.#fn = fn
  }

  override onRecord(value: I, timestamp: number): void {
    let result: O
    try {
      result = notAPromise(this.#fn(value), 'map returned')
    } catch (cause) {
      throw this.failed(cause, { record: value })
    }
    this.out.onRecord(result, timestamp)
  }
}
