import { messageOf, WeirError } from '#runtime/base/errors'
import type { SourceContext, SplitOutput, SplitReader } from '#runtime/connectors/source'
import { NO_TIMESTAMP, type PollResult, type Receiver } from '#runtime/element/receiver'
import { FileCursor } from './file-cursor.ts'
import type { FileSplit, FileTree } from './file-tree.ts'

const LINES_PER_POLL = 1024

export interface LineReaderOptions<T> {
  readonly tree: FileTree
  readonly context: SourceContext
  readonly maxLineBytes: number
  readonly onBadLine: 'fail' | 'skip'
  /** Files follow each other in event time: one that waits does not hold back what is read. */
  readonly timeOrdered: boolean
  /**
   * A line to a record; undefined: no record (an empty line, say). A throw makes the line a bad
   * one.
   */
  readonly parse: (line: string) => T | undefined
}

/**
 * Reads files one after the other, in the order given; the next one is fetched while the first is
 * read. A position is the byte offset of a line start.
 */
export class LineReader<T> implements SplitReader<T, FileSplit, number> {
  readonly #options: LineReaderOptions<T>
  readonly #cursors: FileCursor[] = []

  constructor(options: LineReaderOptions<T>) {
    this.#options = options
  }

  addSplit(split: FileSplit, position: number | undefined): void {
    const { tree, context, maxLineBytes } = this.#options
    this.#cursors.push(new FileCursor({ split, position, tree, context, maxLineBytes }))
  }

  poll(out: SplitOutput<T, FileSplit>): PollResult {
    const [cursor] = this.#cursors
    if (cursor === undefined) return 'done'
    if (!this.#options.timeOrdered) out.reading(cursor.split)
    cursor.prefetch()
    this.#cursors[1]?.prefetch()
    const emitted = this.#emit(cursor, out)
    if (cursor.isExhausted) {
      cursor.close()
      this.#cursors.shift()
      out.finished(cursor.split)
      return 'progressed'
    }
    return emitted > 0 ? 'progressed' : 'idle'
  }

  snapshot(): { split: FileSplit; position: number }[] {
    return this.#cursors.map(({ split, position }) => ({ split, position }))
  }

  close(): void {
    for (const cursor of this.#cursors) cursor.close()
  }

  #emit(cursor: FileCursor, out: Receiver<T>): number {
    const { parse } = this.#options
    let taken = 0
    while (taken < LINES_PER_POLL) {
      const at = cursor.position
      const line = cursor.take()
      if (line === undefined) break
      taken++
      let record: T | undefined
      try {
        record = parse(line)
      } catch (error) {
        this.#bad(`${cursor.split.path}, line at byte ${at}: ${messageOf(error)}`, error)
        continue
      }
      if (record !== undefined) out.onRecord(record, NO_TIMESTAMP)
    }
    const { maxLineBytes } = this.#options
    for (let n = cursor.takeSkipped(); n > 0; n--)
      this.#bad(
        `${cursor.split.path} near byte ${cursor.position}: a line is longer than ${maxLineBytes} bytes`,
      )
    return taken
  }

  #bad(what: string, cause?: unknown): void {
    const { onBadLine, context } = this.#options
    if (onBadLine === 'fail')
      throw new WeirError(
        'USR_FAILED',
        `Cannot read ${what}. ` +
          "Correct the file, or read with onBadLine: 'skip' to count such lines and go on.",
        { cause },
      )
    context.counters.badRecords++
  }
}
