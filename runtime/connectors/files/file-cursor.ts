import type { SourceContext } from '#runtime/connectors/source'
import type { FileSplit, FileTree, OpenFile } from './file-tree.ts'
import { LineScanner, type LongLine } from './line-scanner.ts'
import { retryIo } from './retry-io.ts'

/** The start of a line. */
export interface FilePosition {
  /** Offset in the file. */
  readonly byte: number
  /** Number of the line, from 1; in a part of a file, of those that begin in it. */
  readonly line: number
}

export interface FileCursorOptions {
  readonly split: FileSplit
  /** Where to begin; undefined: at the beginning. */
  readonly position: FilePosition | undefined
  readonly tree: FileTree
  readonly context: SourceContext
  readonly maxLineBytes: number
}

/**
 * One file being read: asks for the next bytes while the ones before are taken, at most one read at
 * a time and two chunks in memory.
 */
export class FileCursor {
  readonly split: FileSplit
  readonly #tree: FileTree
  readonly #context: SourceContext
  readonly #scanner: LineScanner
  /** Lines that begin here or later are of another part. */
  readonly #to: number
  #file: OpenFile | undefined
  /** Offset of the byte to ask for next. */
  #readAt: number
  /** Read, not scanned yet. */
  #next: Buffer | undefined
  #reading = false
  /** A line that begins in this part ends behind it. */
  #isShort = false
  readonly #closing = new AbortController()
  #exhausted = false

  constructor({ split, position, tree, context, maxLineBytes }: FileCursorOptions) {
    this.split = split
    this.#tree = tree
    this.#context = context
    const { from, to } = split.part ?? { from: 0, to: split.sizeBytes }
    // One byte early: whether it is a line's end says whether a line begins at `from`.
    const before = Math.max(0, from - 1)
    const { byte, line } = position ?? { byte: before, line: 1 }
    const isWithinLine = from > 0 && byte === before
    this.#scanner = new LineScanner({ byte, line, maxLineBytes, until: to, isWithinLine })
    this.#readAt = byte
    this.#to = to
  }

  get position(): FilePosition {
    return { byte: this.#scanner.position, line: this.#scanner.line }
  }

  /** Number, from 1, of the first line that was not taken. */
  get line(): number {
    return this.#scanner.line
  }

  /** A line that is too long already, and whose end has not been read yet. */
  get dropping(): LongLine | undefined {
    return this.#scanner.dropping
  }

  /** Every line was taken. */
  get isExhausted(): boolean {
    return this.#exhausted
  }

  /** The next line; undefined when it has not been read yet, or `isExhausted`. */
  take(): string | undefined {
    for (;;) {
      const line = this.#scanner.take()
      if (line !== undefined) return line
      if (this.#scanner.isDone) {
        this.#exhausted = true
        return undefined
      }
      if (this.#next !== undefined) {
        this.#scanner.push(this.#next)
        this.#next = undefined
        this.prefetch()
        continue
      }
      this.#isShort = this.#readAt >= this.#to
      this.prefetch()
      if (this.#reading || this.#readAt < this.split.sizeBytes) return undefined
      this.#scanner.end()
      const last = this.#scanner.take()
      if (last === undefined) this.#exhausted = true
      return last
    }
  }

  /** Lines dropped as too long since the last call. */
  takeDropped(): readonly LongLine[] {
    return this.#scanner.takeDropped()
  }

  prefetch(): void {
    if (
      !this.#reading &&
      !this.#closing.signal.aborted &&
      this.#next === undefined &&
      (this.#readAt < this.#to || this.#isShort) &&
      this.#readAt < this.split.sizeBytes
    )
      void this.#read()
  }

  close(): void {
    this.#closing.abort()
    if (!this.#reading) this.#release()
  }

  async #read(): Promise<void> {
    this.#reading = true
    const start = this.#readAt
    const end = Math.min(start + this.#tree.chunkBytes, this.split.sizeBytes)
    try {
      const what = `read ${this.split.path}`
      const { signal } = this.#closing
      const chunk = await retryIo({ clock: this.#context.clock, what, signal }, async () => {
        this.#file ??= await this.#tree.open(this.split)
        return this.#file.read(start, end)
      })
      this.#readAt = end
      this.#next = chunk
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#context.fail(error)
      return
    } finally {
      this.#reading = false
      if (this.#closing.signal.aborted) this.#release()
    }
    this.#context.wake()
  }

  #release(): void {
    const file = this.#file
    this.#file = undefined
    void file?.close().catch(() => undefined)
  }
}
