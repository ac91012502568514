import { stripVTControlCharacters } from 'node:util'

/**
 * Lines that scroll, above a block that is drawn over itself. On anything but a terminal there is
 * no block and only the lines are written. Owns the bottom of the terminal between construction and
 * `close`.
 */
export class LiveBlock {
  readonly #out: NodeJS.WriteStream
  readonly #isLive: boolean
  #block: readonly string[] = []
  #drawn = 0
  constructor(out: NodeJS.WriteStream) {
    this.#out = out
    this.#isLive = out.isTTY && process.env['TERM'] !== 'dumb'
  }

  get isLive(): boolean {
    return this.#isLive
  }

  line(text: string): void {
    this.#out.write(`${this.#erase()}${text}\n${this.#draw()}`)
  }

  show(block: readonly string[]): void {
    if (!this.#isLive) return
    this.#block = block
    this.#out.write(this.#erase() + this.#draw())
  }

  /** Takes the block away. */
  close(): void {
    this.#block = []
    if (this.#drawn > 0) this.#out.write(this.#erase())
  }

  #erase(): string {
    const up = this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A\r\x1b[J`
    this.#drawn = 0
    return up
  }

  /** A line that wraps would be erased wrongly, so each is cut to the width. */
  #draw(): string {
    if (!this.#isLive || this.#block.length === 0) return ''
    // A terminal of unknown width says 0.
    const width = Math.max(20, this.#out.columns || 80) - 1
    this.#drawn = this.#block.length + 1
    const rule = `\x1b[2m${'-'.repeat(Math.min(width, 60))}\x1b[0m`
    const lines = this.#block.map((line) => stripVTControlCharacters(line).slice(0, width))
    return `${[rule, ...lines].join('\n')}\n`
  }
}
