const LF = 10
const CR = 13
/** Of a line that is too long, what is kept to show it. */
const SHOWN_BYTES = 200

/** A line that was longer than allowed, and dropped. */
export interface LongLine {
  /** From 1. */
  readonly line: number
  /** Its beginning. */
  readonly text: string
}

export interface LineScannerOptions {
  /** Offset in the file of the first byte that is pushed. */
  readonly byte: number
  /** Number of the line that begins there. */
  readonly line: number
  readonly maxLineBytes: number
  /** Lines that begin at this offset or later are not taken. */
  readonly until?: number
  /** What comes first is the rest of a line that is not wanted; it has no number. */
  readonly isWithinLine?: boolean
}

/**
 * Cuts bytes into lines, and numbers them from 1. Lines end with LF or CRLF; the last one needs no
 * end. Positions are byte offsets in the file, always at the start of a line, so reading again from
 * one gives the same lines. Characters are decoded per line, so a chunk border never splits one;
 * bytes that are not UTF-8 become U+FFFD.
 */
export class LineScanner {
  readonly #maxLineBytes: number
  readonly #until: number
  /** The rest of a line that is not wanted is being skipped. */
  #isSkipping: boolean
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0
  /** From here on no line end was looked for yet. */
  #searchFrom = 0
  /** Offset in the file of the start of the buffer. */
  #bufferStart: number
  #ended = false
  /** The rest of a line that is too long is being dropped, up to its end. */
  #dropping: LongLine | undefined
  #dropStart = 0
  #dropped: LongLine[] = []
  /** Number of the first line that was not taken. */
  #number: number

  constructor(options: LineScannerOptions) {
    const { byte, line, maxLineBytes, until = Infinity, isWithinLine = false } = options
    this.#bufferStart = byte
    this.#number = line
    this.#maxLineBytes = maxLineBytes
    this.#until = until
    this.#isSkipping = isWithinLine
    this.#dropStart = byte
  }

  /** No line is left that begins before `until`. */
  get isDone(): boolean {
    return this.position >= this.#until
  }

  /** Start of the first line that was not taken. */
  get position(): number {
    const isWithinLine = this.#isSkipping || this.#dropping !== undefined
    return isWithinLine ? this.#dropStart : this.#bufferStart + this.#at
  }

  /** Number, from 1, of the first line that was not taken. */
  get line(): number {
    return this.#number
  }

  /** The line that is too long already and has not ended yet. */
  get dropping(): LongLine | undefined {
    return this.#dropping
  }

  /** Lines since the last call that were too long; what `position` is behind. */
  takeDropped(): readonly LongLine[] {
    const dropped = this.#dropped
    if (dropped.length > 0) this.#dropped = []
    return dropped
  }

  /** The next bytes of the file. The scanner keeps `chunk`. */
  push(chunk: Buffer): void {
    const rest = this.#buffer.length - this.#at
    this.#searchFrom = Math.max(0, this.#searchFrom - this.#at)
    this.#bufferStart += this.#at
    this.#buffer = rest === 0 ? chunk : Buffer.concat([this.#buffer.subarray(this.#at), chunk])
    this.#at = 0
  }

  /** No bytes follow. */
  end(): void {
    this.#ended = true
  }

  /** The next line, or undefined when its end has not been pushed yet (or there is none). */
  take(): string | undefined {
    for (;;) {
      if (this.isDone) return undefined
      const end = this.#buffer.indexOf(LF, this.#searchFrom)
      if (end === -1) {
        if (this.#ended && this.#dropping !== undefined) this.#endDropped(this.#dropping)
        if (!this.#ended || this.#at === this.#buffer.length) return this.#wait()
        return this.#line(this.#buffer.length, this.#buffer.length) ?? this.#wait()
      }
      const line = this.#line(end, end + 1)
      if (line !== undefined) return line
    }
  }

  #line(end: number, next: number): string | undefined {
    const start = this.#at
    this.#at = next
    this.#searchFrom = next
    if (this.#isSkipping) {
      this.#isSkipping = false
      return undefined
    }
    if (this.#dropping !== undefined) {
      this.#endDropped(this.#dropping)
      return undefined
    }
    if (end - start > this.#maxLineBytes) {
      this.#endDropped(this.#longLine(start, end))
      return undefined
    }
    this.#number++
    const textEnd = end > start && this.#buffer[end - 1] === CR ? end - 1 : end
    // A byte order mark is not part of the first line.
    const textStart =
      this.#bufferStart + start === 0 && this.#buffer.subarray(start, start + 3).equals(BOM)
        ? start + 3
        : start
    return this.#buffer.toString('utf8', textStart, textEnd)
  }

  /** Keeps what has come of the line, unless that is already too long. */
  #wait(): undefined {
    this.#searchFrom = this.#buffer.length
    if (this.#isSkipping || this.#dropping !== undefined) this.#at = this.#buffer.length
    else if (this.#buffer.length - this.#at > this.#maxLineBytes) {
      this.#dropping = this.#longLine(this.#at, this.#buffer.length)
      this.#dropStart = this.#bufferStart + this.#at
      this.#at = this.#buffer.length
    }
    return undefined
  }

  #longLine(start: number, end: number): LongLine {
    const text = this.#buffer.toString('utf8', start, Math.min(end, start + SHOWN_BYTES))
    return { line: this.#number, text }
  }

  #endDropped(long: LongLine): void {
    this.#dropping = undefined
    this.#dropped.push(long)
    this.#number++
  }
}

const BOM = Buffer.from([0xef, 0xbb, 0xbf])
