import type { SourceContext } from '#runtime/connectors/source'
import type { FileSplit, FileTree, OpenFile } from './file-tree.ts'
import { LineScanner } from './line-scanner.ts'
import { retryIo } from './retry-io.ts'

export interface FileCursorOptions {
  readonly split: FileSplit
  /** Where a snapshot left it; undefined: it is read from its beginning. */
  readonly position: number | undefined
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
  #skippedSeen = 0

  constructor({ split, position, tree, context, maxLineBytes }: FileCursorOptions) {
    this.split = split
    this.#tree = tree
    this.#context = context
    const { from, to } = split.part ?? { from: 0, to: split.sizeBytes }
    // One byte early: whether it is a line's end says whether a line begins at `from`.
    const before = Math.max(0, from - 1)
    this.#to = to
    this.#readAt = position ?? before
    const isWithinLine = from > 0 && this.#readAt === before
    this.#scanner = new LineScanner({ position: this.#readAt, maxLineBytes, until: to, isWithinLine })
  }

  get position(): number {
    return this.#scanner.position
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
  takeSkipped(): number {
    const n = this.#scanner.skipped - this.#skippedSeen
    this.#skippedSeen = this.#scanner.skipped
    return n
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
