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
    const results = this.#fn(value)
    if (Array.isArray(results)) for (let i = 0; i < results.length; i++) out.onRecord(results[i] as O, timestamp)
    else for (const result of results) out.onRecord(result, timestamp)
  }
}
