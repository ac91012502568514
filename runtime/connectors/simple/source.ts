import { WeirError } from '#runtime/base/errors'
import { JobFault } from '#runtime/base/job-fault'
import { refuseUnknownOptions } from '#runtime/base/known-options'
import { preview } from '#runtime/base/preview'
import { FixedDiscovery } from '#runtime/connectors/fixed-discovery'
import type { Source, SourceContext, SplitReader } from '#runtime/connectors/source'
import { NO_TIMESTAMP, type PollResult, type Receiver } from '#runtime/element/receiver'

/** One record, and where to read on behind it. */
export interface SimpleRecord<T, P> {
  readonly value: T
  /** JSON-like data; what `read` is given to go on after this record. */
  readonly next: P
}

export interface SimpleSourceOptions<T, P> {
  /** For plans and messages. */
  readonly name: string
  /**
   * Gives the records from a position on, undefined: from the beginning. The same position must
   * give the same records again, in the same order. It is read ahead of the job by about 1,000
   * records. After `signal` is aborted nothing that it gives is taken. A throw fails the attempt,
   * and the job reads again from its last checkpoint.
   */
  readonly read: (
    from: P | undefined,
    signal: AbortSignal,
  ) => AsyncIterable<SimpleRecord<T, P>> | Iterable<SimpleRecord<T, P>>
  /** `read` comes to an end, and with it the source. Default: it never ends. */
  readonly bounded?: boolean
}

const RECORDS_AHEAD = 1024

/**
 * A source of one's own that is read by one subtask, exactly once. For one that is read in parallel
 * implement `Source`. @throws {WeirError} CFG_GRAPH when an option is not what it should be
 */
export function simpleSource<T, P>(options: SimpleSourceOptions<T, P>): Source<T, typeof WHOLE, P | null> {
  refuseUnknownOptions('simpleSource', options, ['name', 'read', 'bounded'])
  const { name, read, bounded = false } = options
  if (typeof name !== 'string' || name === '')
    throw new WeirError(
      'CFG_GRAPH',
      `simpleSource: name is ${JSON.stringify(name)}; expected a text that tells what it is.`,
    )
  if (typeof read !== 'function')
    throw new WeirError(
      'CFG_GRAPH',
      `simpleSource ${name}: read is not a function. Expected read: async function* (from, signal).`,
    )
  return {
    description: name,
    bounded,
    createDiscovery: () => new FixedDiscovery([WHOLE], bounded),
    createReader: (context) => new AheadReader({ name, read, bounded }, context),
  }
}

/** The only split. */
const WHOLE = 'whole'

/**
 * Reads ahead into a queue, from which the task takes. The position is that of the last record
 * taken. null: the beginning.
 */
class AheadReader<T, P> implements SplitReader<T, typeof WHOLE, P | null> {
  readonly #options: Required<SimpleSourceOptions<T, P>>
  readonly #context: SourceContext
  readonly #closing = new AbortController()
  #queue: SimpleRecord<T, P>[] = []
  #hasRoom: (() => void) | undefined
  #position: P | null = null
  #state: 'waiting' | 'reading' | 'ended' = 'waiting'

  constructor(options: Required<SimpleSourceOptions<T, P>>, context: SourceContext) {
    this.#options = options
    this.#context = context
  }

  addSplit(_: typeof WHOLE, position: P | null | undefined): void {
    this.#position = position ?? null
    this.#state = 'reading'
    void this.#readAhead(position ?? undefined)
  }

  poll(out: Receiver<T>): PollResult {
    const records = this.#queue
    if (records.length === 0) return this.#state === 'reading' ? 'idle' : 'done'
    this.#queue = []
    for (const { value, next } of records) {
      // Before the call: whoever takes a snapshot from inside it would see the record as read.
      this.#position = next
      out.onRecord(value, NO_TIMESTAMP)
    }
    this.#hasRoom?.()
    return 'progressed'
  }

  snapshot(): { split: typeof WHOLE; position: P | null }[] {
    const isThere = this.#state === 'reading' || this.#queue.length > 0
    return isThere ? [{ split: WHOLE, position: this.#position }] : []
  }

  close(): void {
    this.#closing.abort(new WeirError('FENCED', `${this.#options.name} is not read any more`))
    this.#hasRoom?.()
  }

  async #readAhead(from: P | undefined): Promise<void> {
    const { signal } = this.#closing
    const { name, read, bounded } = this.#options
    try {
      for await (const record of iterable(name, read(from, signal))) {
        if (signal.aborted) return
        this.#queue.push(required(name, record))
        if (this.#queue.length === 1) this.#context.wake()
        if (this.#queue.length >= RECORDS_AHEAD) await this.#room()
        if (signal.aborted) return
      }
      if (signal.aborted) return
      if (!bounded)
        throw new JobFault(`${name}: read came to an end. Expected records without end, or bounded: true.`)
      this.#state = 'ended'
      this.#context.wake()
    } catch (error) {
      if (!signal.aborted) this.#context.fail(error)
    }
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#hasRoom = () => {
        this.#hasRoom = undefined
        resolve()
      }
    })
  }
}

/** @throws {JobFault} when `read` returned something that cannot be walked */
function iterable<R>(name: string, given: R): R {
  if (typeof given === 'object' && given !== null)
    if (Symbol.asyncIterator in given || Symbol.iterator in given) return given
  throw new JobFault(
    `${name}: read returned ${preview(given)}. Expected records one after the other: ` +
      'async function* (from, signal) { ... yield { value, next } }.',
  )
}

/** @throws {JobFault} when `read` gave something else */
function required<T, P>(name: string, record: SimpleRecord<T, P>): SimpleRecord<T, P> {
  if (typeof record === 'object' && record !== null && 'value' in record && record.next !== undefined)
    return record
  throw new JobFault(
    `${name}: read gave ${preview(record)}. Expected { value, next }, next being where to read on.`,
  )
}
