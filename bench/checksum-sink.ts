import type { Sink, SinkContext, SinkWriter } from '#runtime/connectors/sink'
import type { Checksum } from './checksum.ts'
import { type Moment, moment, writeReport } from './probe.ts'

/** What came in between two checkpoints, and when the last of it came. */
export interface ChecksumPart extends Checksum {
  readonly name: string
  readonly last: Moment
  readonly rssBytes: number
}

/**
 * Sums `of` over all records, exactly once: the sum of a checkpoint becomes a file in `directory`
 * when the checkpoint is committed, under a name that a repeated commit writes again. The sum of
 * the files is the result.
 */
export const checksumSink = <T>(directory: string, of: (value: T) => number): Sink<T, ChecksumPart> => ({
  description: `checksum(${directory})`,
  guarantee: 'exactly-once',
  createWriter: (context) => new ChecksumWriter(directory, of, context),
})

class ChecksumWriter<T> implements SinkWriter<T, ChecksumPart> {
  readonly #directory: string
  readonly #of: (value: T) => number
  readonly #context: SinkContext
  #count = 0
  #sum = 0
  #counted = 0
  #last = moment()
  constructor(directory: string, of: (value: T) => number, context: SinkContext) {
    this.#directory = directory
    this.#of = of
    this.#context = context
  }

  recover(): void {}

  write(value: T): void {
    this.#count++
    this.#sum += this.#of(value)
  }

  flush(): void {
    if (this.#count === this.#counted) return
    this.#counted = this.#count
    this.#last = moment()
  }

  prepare(checkpointId: number): Promise<ChecksumPart> {
    this.flush()
    const name = `part-${this.#context.subtask}-${this.#context.attempt}-${checkpointId}.json`
    const part = {
      name,
      count: this.#count,
      sum: this.#sum,
      last: this.#last,
      rssBytes: process.memoryUsage.rss(),
    }
    this.#count = this.#sum = this.#counted = 0
    return Promise.resolve(part)
  }

  commit(part: ChecksumPart): Promise<void> {
    writeReport(this.#directory, part.name, part)
    return Promise.resolve()
  }

  close(): void {}
}
