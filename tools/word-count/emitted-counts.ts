/**
 * The counts that were written for one word. Exactly once means: 1, 2, ... n, each once, in
 * whatever files they ended up.
 */
export class EmittedCounts {
  #lines = 0
  #highest = 0
  #repeated = 0
  #seen = new Uint8Array(4)

  add(count: number): void {
    this.#lines++
    if (count > this.#highest) this.#highest = count
    const byte = count >>> 3
    if (byte >= this.#seen.length) {
      const grown = new Uint8Array(Math.max(byte + 1, this.#seen.length * 2))
      grown.set(this.#seen)
      this.#seen = grown
    }
    const bit = 1 << (count & 7)
    if (((this.#seen[byte] as number) & bit) !== 0) this.#repeated++
    this.#seen[byte] = (this.#seen[byte] as number) | bit
  }

  get last(): number {
    return this.#highest
  }
  get repeated(): number {
    return this.#repeated
  }
  /** Counts below the last one that were never written. */
  get missing(): number {
    return this.#highest - (this.#lines - this.#repeated)
  }
}

export interface Comparison {
  readonly words: number
  readonly total: number
  /** Differences as sentences, at most `limit`; empty when everything is equal. */
  readonly differences: readonly string[]
  readonly differing: number
}

/** What the job wrote against what an independent program counted. Pure. */
export function compareCounts(
  emitted: ReadonlyMap<string, EmittedCounts>,
  expected: ReadonlyMap<string, number>,
  limit = 10,
): Comparison {
  const found = [
    ...[...expected].flatMap(([word, n]) => differencesOf(word, n, emitted.get(word))),
    ...[...emitted.keys()]
      .filter((word) => !expected.has(word))
      .map((word) => `${word}: does not occur, but counts were written`),
  ]
  let total = 0
  for (const n of expected.values()) total += n
  return { words: expected.size, total, differences: found.slice(0, limit), differing: found.length }
}

function differencesOf(word: string, n: number, counts: EmittedCounts | undefined): string[] {
  if (counts === undefined) return [`${word}: occurs ${n} times, nothing was written`]
  const { last, repeated, missing } = counts
  return [
    ...(last === n ? [] : [`${word}: occurs ${n} times, the last count written is ${last}`]),
    ...(repeated > 0 ? [`${word}: ${repeated} counts were written more than once`] : []),
    ...(missing > 0 ? [`${word}: ${missing} counts were never written`] : []),
  ]
}
