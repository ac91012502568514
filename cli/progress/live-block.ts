import { stripVTControlCharacters } from 'node:util'

/**
 * Lines that scroll, above a block that is drawn over itself. On anything but a terminal there is
 * no block and only the lines are written. Owns the bottom of the terminal between construction and
 * `close`.
 */
export class LiveBlock {
  readonly #out: NodeJS.WriteStream
  readonly #isLive: boolean
  readonly #isColored: boolean
  #block: readonly string[] = []
  #drawn = 0
  /** `env`: NO_COLOR (https://no-color.org) leaves the block, in plain text; TERM=dumb takes it. */
  constructor(out: NodeJS.WriteStream, env: NodeJS.ProcessEnv = process.env) {
    this.#out = out
    // A stream that is no terminal has no isTTY at all.
    this.#isLive = out.isTTY ? env['TERM'] !== 'dumb' : false
    this.#isColored = (env['NO_COLOR'] ?? '') === ''
  }

  get isLive(): boolean {
    return this.#isLive
  }

  line(text: string): void {
    this.#out.write(`${this.#erase()}${text}\n${this.#draw()}`)
  }

  /** Lets `write` write to another stream of the same terminal, above the block. */
  above(write: () => void): void {
    const erased = this.#erase()
    if (erased !== '') this.#out.write(erased)
    write()
    const drawn = this.#draw()
    if (drawn !== '') this.#out.write(drawn)
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
    const dashes = '-'.repeat(Math.min(width, 60))
    const rule = this.#isColored ? `\x1b[2m${dashes}\x1b[0m` : dashes
    const lines = this.#block.map((line) => stripVTControlCharacters(line).slice(0, width))
    return `${[rule, ...lines].join('\n')}\n`
  }
}
