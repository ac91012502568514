import { messageOf } from '#runtime/base/errors'
import { JobFault } from '#runtime/base/job-fault'
import { preview } from '#runtime/base/preview'
import type { SourceContext, SplitOutput, SplitReader } from '#runtime/connectors/source'
import { NO_TIMESTAMP, type PollResult, type Receiver } from '#runtime/element/receiver'
import { SideOutput } from '#runtime/element/side-output'
import { FileCursor, type FilePosition } from './file-cursor.ts'
import type { FileSplit, FileTree } from './file-tree.ts'
import type { LongLine } from './line-scanner.ts'

const LINES_PER_POLL = 1024

/** A line that could not be read, as it goes to the side output that `onBadLine` names. */
export interface BadLine {
  /** Path or URL. */
  readonly file: string
  /** From 1. */
  readonly line: number
  /** Where the file is read in parts: `line` counts those that begin at this byte or later. */
  readonly fromByte?: number
  /** The line; of one that was too long, its beginning. */
  readonly text: string
  /** Why it could not be read. */
  readonly error: string
}

export type OnBadLine = 'fail' | 'skip' | SideOutput<BadLine>

export interface LineReaderOptions<T> {
  readonly tree: FileTree
  readonly context: SourceContext
  readonly maxLineBytes: number
  readonly onBadLine: OnBadLine
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
export class LineReader<T> implements SplitReader<T, FileSplit, FilePosition> {
  readonly #options: LineReaderOptions<T>
  readonly #cursors: FileCursor[] = []

  constructor(options: LineReaderOptions<T>) {
    this.#options = options
  }

  addSplit(split: FileSplit, position: FilePosition | undefined): void {
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

  snapshot(): { split: FileSplit; position: FilePosition }[] {
    return this.#cursors.map(({ split, position }) => ({ split, position }))
  }

  close(): void {
    for (const cursor of this.#cursors) cursor.close()
  }

  #emit(cursor: FileCursor, out: Receiver<T>): number {
    const { parse } = this.#options
    const place = placeIn(cursor.split)
    let taken = 0
    while (taken < LINES_PER_POLL) {
      const text = cursor.take()
      // What was too long stands before the line that was taken.
      this.#dropped(cursor, out)
      if (text === undefined) break
      taken++
      const line = cursor.line - 1
      let record: T | undefined
      try {
        record = parse(text)
      } catch (cause) {
        if (cause instanceof JobFault) throw cause
        this.#bad({ ...place, line, text, error: messageOf(cause) }, out)
        continue
      }
      if (record !== undefined) out.onRecord(record, NO_TIMESTAMP)
    }
    return taken
  }

  #dropped(cursor: FileCursor, out: Receiver<T>): void {
    for (const long of cursor.takeDropped()) this.#bad(this.#tooLong(cursor.split, long), out)
    // Who is to fail by it does not read on to its end.
    if (this.#options.onBadLine === 'fail' && cursor.dropping !== undefined)
      this.#bad(this.#tooLong(cursor.split, cursor.dropping), out)
  }

  #tooLong(split: FileSplit, long: LongLine): BadLine {
    return { ...placeIn(split), ...long, error: `it is longer than ${this.#options.maxLineBytes} bytes` }
  }

  #bad(bad: BadLine, out: Receiver<T>): void {
    const { onBadLine, context } = this.#options
    const part = bad.fromByte === undefined ? '' : ` after byte ${bad.fromByte}`
    if (onBadLine === 'fail')
      throw new JobFault(
        `Cannot read ${bad.file}, line ${bad.line}${part}: ${bad.error} in ${preview(bad.text)}. ` +
          "Correct the file; or read with onBadLine: 'skip', which counts such lines, or " +
          "onBadLine: sideOutput('bad'), which keeps them.",
      )
    // It travels among the records, marked (Source.sideOutput).
    if (onBadLine instanceof SideOutput) out.onRecord(onBadLine.wrap(bad) as T, NO_TIMESTAMP)
    else context.counters.badRecords++
  }
}

function placeIn({ path, part }: FileSplit): Pick<BadLine, 'file' | 'fromByte'> {
  return part === undefined || part.from === 0 ? { file: path } : { file: path, fromByte: part.from }
}
