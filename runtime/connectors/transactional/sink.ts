import { messageOf, WeirError } from '#runtime/base/errors'
import { JobFault } from '#runtime/base/job-fault'
import { preview } from '#runtime/base/preview'
import { refuseUnknownOptions } from '#runtime/base/known-options'
import type { CommitOutcome, Sink, SinkWriter, TransactionId } from '#runtime/connectors/sink'

export interface TransactionalSinkOptions<T, C> {
  /** For plans and messages. */
  readonly name: string
  /**
   * Stores the rows of one transaction so that `commit` will succeed, and resolves with what
   * `commit` needs to know: JSON-like data, which goes into the checkpoint. `id` names this
   * transaction and no other, for ever: a text without spaces or slashes. A throw fails the
   * attempt, and the job writes the rows again, under another id.
   */
  readonly prepare: (rows: readonly T[], id: string) => C | Promise<C>
  /**
   * Makes what was prepared visible. It may be called again at any time, by any process, and must
   * then change nothing. A throw has it called again, within a limit.
   */
  readonly commit: (prepared: C) => void | Promise<void>
  /**
   * Removes what is stored of transactions that nobody will commit: those whose id `isAbandoned`
   * says so of; others it does not touch. Called when a job has been restored. Absent: nothing is
   * stored by `prepare`, or it may stay.
   */
  readonly removeAbandoned?: (isAbandoned: (id: string) => boolean) => void | Promise<void>
}

/**
 * A sink of one's own, exactly once: the rows between two checkpoints are one transaction, held in
 * memory until it is prepared. @throws {WeirError} CFG_GRAPH when an option is not what it should
 * be
 */
export function transactionalSink<T, C>(options: TransactionalSinkOptions<T, C>): Sink<T, C> {
  refuseUnknownOptions('transactionalSink', options, ['name', 'prepare', 'commit', 'removeAbandoned'])
  const { name, prepare, commit } = options
  if (typeof name !== 'string' || name === '')
    throw new WeirError(
      'CFG_GRAPH',
      `transactionalSink: name is ${JSON.stringify(name)}; expected a text that tells what it is.`,
    )
  for (const [key, fn] of Object.entries({ prepare, commit }))
    if (typeof fn !== 'function')
      throw new WeirError(
        'CFG_GRAPH',
        `transactionalSink ${name}: ${key} is ${preview(fn)}, not a function. ` + EXPECTED,
      )
  return {
    description: name,
    guarantee: 'exactly-once',
    createWriter: () => new RowsWriter(options),
  }
}

const EXPECTED = 'Expected prepare: (rows, id) => what commit needs, and commit: async (prepared) => { ... }.'

class RowsWriter<T, C> implements SinkWriter<T, C> {
  readonly #options: TransactionalSinkOptions<T, C>
  #rows: T[] = []
  #id = ''

  constructor(options: TransactionalSinkOptions<T, C>) {
    this.#options = options
  }

  begin(transaction: TransactionId): void {
    this.#id = idOf(transaction)
  }

  write(row: T): void {
    this.#rows.push(row)
  }

  async prepare(): Promise<C | undefined> {
    const rows = this.#rows
    if (rows.length === 0) return undefined
    this.#rows = []
    const { name, prepare } = this.#options
    const prepared = await prepare(rows, this.#id)
    if (prepared !== undefined) return prepared
    throw new JobFault(
      `${name}: prepare gave nothing for ${rows.length} rows. Expected what commit needs to know.`,
    )
  }

  async commit(prepared: C): Promise<CommitOutcome> {
    const { name, commit } = this.#options
    try {
      await commit(prepared)
      return 'committed'
    } catch (cause) {
      if (cause instanceof WeirError) throw cause
      throw new WeirError('STO_UNAVAILABLE', `${name}: commit failed: ${messageOf(cause)}`, { cause })
    }
  }

  async recover(isDangling: (transaction: TransactionId) => boolean): Promise<void> {
    await this.#options.removeAbandoned?.((id) => {
      const transaction = transactionOf(id)
      return transaction !== undefined && isDangling(transaction)
    })
  }

  close(): void {
    this.#rows = []
  }
}

/** `<job uid>:<sink>:<subtask>:<attempt>:<after>`, each part percent-encoded. */
function idOf({ job, sink, subtask, attempt, after }: TransactionId): string {
  return [job, sink, subtask, attempt, after].map((part) => encodeURIComponent(part)).join(':')
}

/** Undefined: not an id that this sink gave. */
function transactionOf(id: string): TransactionId | undefined {
  const match = /^([^:/ ]+):([^:/ ]+):(\d+):(\d+\.\d+):(\d+)$/.exec(id)
  if (match === null) return undefined
  const [, job, sink, subtask, attempt, after] = match as unknown as readonly string[]
  try {
    return {
      job: decodeURIComponent(job as string),
      sink: decodeURIComponent(sink as string),
      subtask: Number(subtask),
      attempt: attempt as string,
      after: Number(after),
    }
  } catch {
    return undefined
  }
}
