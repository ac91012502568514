import { WeirError } from '#runtime/base/errors'
import type { SinkContext, SinkWriter } from '#runtime/connectors/sink'
import { FileCommitter } from './file-committer.ts'
import type { FileCommittable, Output, OutputFile } from './output.ts'

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
 * Records as lines of JSON, one file a checkpoint. Writes go on in the background in order; a write
 * that fails for good fails the task.
 */
export class JsonlWriter<T> implements SinkWriter<T, FileCommittable> {
  readonly #output: Output
  readonly #context: SinkContext
  readonly #committer: FileCommitter
  #text = ''
  #open: OpenFile | undefined
  #number = 0
  #pendingBytes = 0

  constructor(output: Output, context: SinkContext) {
    this.#output = output
    this.#context = context
    this.#committer = new FileCommitter(context)
  }

  /** One subtask is enough for what belongs to all. */
  async recover(restored: readonly FileCommittable[]): Promise<void> {
    if (this.#context.subtask === 0) await this.#output.recover(restored)
  }

  write(value: T): void {
    const line = JSON.stringify(value)
    if (line === undefined)
      throw new WeirError(
        'USR_FAILED',
        `Sink "${this.#context.uid}" got ${typeof value}, which JSON cannot express. Map records to plain data before the sink.`,
      )
    this.#text += line + '\n'
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
    await open.written
    return open.file.finish()
  }

  commit(committable: FileCommittable): Promise<void> {
    return this.#committer.commit(committable)
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    if (open !== undefined)
      await open.written
        .then(() => open.file.discard())
        .catch((err: unknown) => this.#context.logger.debug({ err }, 'unfinished output not removed'))
    this.#output.close()
    this.#committer.close()
  }

  #append(): void {
    const bytes = Buffer.from(this.#text, 'utf8')
    this.#text = ''
    const open = (this.#open ??= { file: this.#output.begin(++this.#number), written: Promise.resolve() })
    this.#pendingBytes += bytes.length
    open.written = open.written
      .then(() => open.file.append(bytes))
      .then(() => {
        const wasBusy = this.isBusy()
        this.#pendingBytes -= bytes.length
        if (wasBusy && !this.isBusy()) this.#context.wake()
      })
    open.written.catch((error: unknown) => this.#context.fail(error))
  }
}
