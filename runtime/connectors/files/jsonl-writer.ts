import { assertNever, invariant } from '#runtime/base/errors'
import type { CommitOutcome, SinkContext, SinkWriter, TransactionId } from '#runtime/connectors/sink'
import { jsonLine } from './json-line.ts'
import { commitLocal } from './local-commit.ts'
import type { FileCommittable, OutputFile, Outputs } from './output.ts'
import { commitStaged } from './s3-commit.ts'

/** Text handed to the file at once. */
const CHUNK_CHARS = 256 * 1024
/** Bytes on their way to the file above which the writer asks for a pause. */
const BUSY_BYTES = 16 * 1024 * 1024

interface OpenFile {
  readonly file: OutputFile
  /** The writes so far; rejects with the first failure. */
  written: Promise<void>
}

/**
 * Records as lines of JSON, one file per transaction. Writes go on in the background in order; a
 * write that fails for good fails the task.
 */
export class JsonlWriter<T> implements SinkWriter<T, FileCommittable> {
  readonly #outputs: Outputs
  readonly #context: SinkContext
  /** Aborted at the end: nobody waits for writes any more. */
  readonly #closing: AbortController
  #transaction: TransactionId | undefined
  #text = ''
  #open: OpenFile | undefined
  #pendingBytes = 0

  constructor(outputs: Outputs, context: SinkContext, closing: AbortController) {
    this.#outputs = outputs
    this.#context = context
    this.#closing = closing
  }

  async recover(isDangling: (transaction: TransactionId) => boolean): Promise<void> {
    const { own, former } = this.#outputs
    for (const output of [own, ...former]) await output.recover(isDangling)
  }

  begin(transaction: TransactionId): void {
    this.#transaction = transaction
  }

  write(value: T): void {
    this.#text += jsonLine(value) + '\n'
    if (this.#text.length >= CHUNK_CHARS) this.#append()
  }

  isBusy(): boolean {
    return this.#pendingBytes > BUSY_BYTES
  }

  async prepare(): Promise<FileCommittable | undefined> {
    if (this.#text !== '') this.#append()
    const open = this.#open
    if (open === undefined) return undefined
    this.#open = undefined
    try {
      await open.written
      return await open.file.finish()
    } catch (error) {
      await this.#discard(open)
      throw error
    }
  }

  /** Wherever the file is: also where an earlier version of the job wrote to another place. */
  commit(committable: FileCommittable): Promise<CommitOutcome> {
    const { access } = this.#context
    switch (committable.type) {
      case 'local':
        return commitLocal(committable, access.disk)
      case 's3':
        return commitStaged(committable, access.bucket(committable.bucket))
      default:
        return assertNever(committable)
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    const open = this.#open
    this.#open = undefined
    if (open === undefined) return
    await open.written.catch(() => undefined)
    await this.#discard(open)
  }

  async #discard({ file }: OpenFile): Promise<void> {
    try {
      await file.discard()
    } catch (err) {
      this.#context.logger.debug({ err }, 'unfinished output not removed')
    }
  }

  #append(): void {
    const bytes = Buffer.from(this.#text, 'utf8')
    this.#text = ''
    const open = (this.#open ??= this.#begun())
    this.#pendingBytes += bytes.length
    open.written = open.written
      .then(() => open.file.append(bytes))
      .then(() => {
        const wasBusy = this.isBusy()
        this.#pendingBytes -= bytes.length
        if (wasBusy && !this.isBusy()) this.#context.wake()
      })
    open.written.catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#context.fail(error)
    })
  }

  #begun(): OpenFile {
    invariant(this.#transaction !== undefined, 'a sink writes before its first transaction has begun')
    return { file: this.#outputs.own.begin(this.#transaction), written: Promise.resolve() }
  }
}
