import { JobFault } from '#runtime/base/job-fault'
import { preview } from '#runtime/base/preview'
import { notAPromise } from '#runtime/base/synchronous'
import { PassThroughOperator } from './pass-through.ts'

/** One record in, any number out, all with its timestamp. */
export class FlatMapOperator<I, O> extends PassThroughOperator<I, O> {
  readonly #fn: (value: I) => Iterable<O>

  constructor(fn: (value: I) => Iterable<O>) {
    super()
    this.#fn = fn
  }

  override onRecord(value: I, timestamp: number): void {
    const { out } = this
    let results: readonly O[]
    try {
      const given = notAPromise(this.#fn(value), 'flatMap returned')
      // A generator is user code too, which runs while it is walked.
      results = Array.isArray(given) ? given : [...iterable(given)]
      for (let i = 0; i < results.length; i++) notAPromise(results[i], 'flatMap gave')
    } catch (cause) {
      throw this.failed(cause, { record: value })
    }
    for (let i = 0; i < results.length; i++) out.onRecord(results[i] as O, timestamp)
  }
}

function iterable<O>(given: Iterable<O>): Iterable<O> {
  const isIterable = typeof given === 'object' && given !== null && Symbol.iterator in given
  if (isIterable || typeof given === 'string') return given
  throw new JobFault(
    `flatMap returned ${preview(given)}: expected an array or another iterable, empty for no record.`,
  )
}
