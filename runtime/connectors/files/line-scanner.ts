const LF = 10
const CR = 13

export interface LineScannerOptions {
  /** Offset in the file of the first byte that is pushed. */
  readonly position: number
  readonly maxLineBytes: number
  /** Lines that begin at this offset or later are not taken. */
  readonly until?: number
  /** What comes first is the rest of a line that is not wanted. */
  readonly isWithinLine?: boolean
}

/**
 * Cuts bytes into lines. Lines end with LF or CRLF; the last one needs no end. Positions are byte
 * offsets in the file, always at the start of a line, so reading again from one gives the same
 * lines. Characters are decoded per line, so a chunk border never splits one; bytes that are not
 * UTF-8 become U+FFFD.
 */
export class LineScanner {
  readonly #maxLineBytes: number
  readonly #until: number
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0
  /** From here on no line end was looked for yet. */
  #searchFrom = 0
  /** Offset in the file of the start of the buffer. */
  #bufferStart: number
  #ended = false
  /** The rest of a line that is too long is being dropped, up to its end. */
  #dropping = false
  #dropStart = 0
  #skipped = 0

  constructor({ position, maxLineBytes, until = Infinity, isWithinLine = false }: LineScannerOptions) {
    this.#bufferStart = position
    this.#maxLineBytes = maxLineBytes
    this.#until = until
    this.#dropping = isWithinLine
    this.#dropStart = position
  }

  /** No line is left that begins before `until`. */
  get isDone(): boolean {
    return this.position >= this.#until
  }

  /** Start of the first line that was not taken. */
  get position(): number {
    return this.#dropping ? this.#dropStart : this.#bufferStart + this.#at
  }

  /** Lines dropped because they were too long. */
  get skipped(): number {
    return this.#skipped
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

  /** The next line, or undefined when its end has not been pushed yet (or there is none, or it is done). */
  take(): string | undefined {
    for (;;) {
      if (this.isDone) return undefined
      const end = this.#buffer.indexOf(LF, this.#searchFrom)
      if (end === -1) {
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
    if (this.#dropping) {
      this.#dropping = false
      return undefined
    }
    if (end - start > this.#maxLineBytes) {
      this.#skipped++
      return undefined
    }
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
    if (this.#dropping) this.#at = this.#buffer.length
    else if (this.#buffer.length - this.#at > this.#maxLineBytes) {
      this.#skipped++
      this.#dropping = true
      this.#dropStart = this.#bufferStart + this.#at
      this.#at = this.#buffer.length
    }
    return undefined
  }
}

const BOM = Buffer.from([0xef, 0xbb, 0xbf])
