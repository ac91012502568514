/** What was done to the product and what it said, with seconds since the beginning. */
export class Story {
  readonly #began = performance.now()
  readonly #lines: string[] = []
  readonly #echo: ((line: string) => void) | undefined

  /** `echo`: every line is also said at once. */
  constructor(echo?: (line: string) => void) {
    this.#echo = echo
  }

  /** Milliseconds since the beginning. */
  get nowMs(): number {
    return performance.now() - this.#began
  }

  tell(text: string): void {
    const line = `${(this.nowMs / 1000).toFixed(1).padStart(7)} s  ${text}`
    this.#lines.push(line)
    this.#echo?.(line)
  }

  get text(): string {
    return this.#lines.join('\n')
  }
}
