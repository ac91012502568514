import type { CommitOutcome, Sink, SinkWriter, TransactionId } from '#runtime/connectors/sink'
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
  createWriter: () => new ChecksumWriter(directory, of),
})

class ChecksumWriter<T> implements SinkWriter<T, ChecksumPart> {
  readonly #directory: string
  readonly #of: (value: T) => number
  #name = ''
  #count = 0
  #sum = 0
  #counted = 0
  #last = moment()
  constructor(directory: string, of: (value: T) => number) {
    this.#directory = directory
    this.#of = of
  }

  begin({ job, sink, subtask, attempt, after }: TransactionId): void {
    this.#name = `part-${job}-${sink}-${subtask}-${attempt}-${after}.json`
  }

  write(value: T): void {
    this.#count++
    this.#sum += this.#of(value)
  }

  flush(): void {
    if (this.#count === this.#counted) return
    this.#counted = this.#count
    this.#last = moment()
  }

  prepare(): Promise<ChecksumPart> {
    this.flush()
    const part = {
      name: this.#name,
      count: this.#count,
      sum: this.#sum,
      last: this.#last,
      rssBytes: process.memoryUsage.rss(),
    }
    this.#count = this.#sum = this.#counted = 0
    return Promise.resolve(part)
  }

  commit(part: ChecksumPart): Promise<CommitOutcome> {
    writeReport(this.#directory, part.name, part)
    return Promise.resolve('committed')
  }

  close(): void {}
}
