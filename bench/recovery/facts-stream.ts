import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import type { JobFacts } from '#runtime/contract/rest'

/** Facts as they came over the wire, with the moment of their arrival on `performance.now()`. */
export interface Seen {
  readonly at: number
  readonly facts: JobFacts
}

const AGAIN_MS = 20

/**
 * Follows GET /events of several JobManagers at once, and dials again what is gone; each line of a
 * leader is kept.
 */
export class FactsStream implements AsyncDisposable {
  readonly #abort = new AbortController()
  readonly #followers: readonly Promise<void>[]
  readonly #waiters = new Set<() => void>()
  readonly seen: Seen[] = []

  constructor(urls: readonly string[]) {
    this.#followers = urls.map((url) => this.#follow(url))
  }

  /**
   * The first line, of those that have come and those to come, that satisfies `condition`. @throws
   * after `limitMs`, with the last facts
   */
  async first(what: string, condition: (seen: Seen) => boolean, limitMs = 60_000): Promise<Seen> {
    const end = performance.now() + limitMs
    for (let from = 0; ;) {
      const found = this.seen.slice(from).find(condition)
      if (found !== undefined) return found
      from = this.seen.length
      const left = end - performance.now()
      if (left <= 0 || !(await this.#more(left)))
        throw new Error(`${what}: not within ${limitMs} ms. Last: ${JSON.stringify(this.seen.at(-1)?.facts)}`)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort()
    await Promise.all(this.#followers)
  }

  #more(limitMs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const come = () => resolve(true)
    const timer = setTimeout(() => resolve(false), limitMs)
    this.#waiters.add(come)
    return promise.finally(() => {
      clearTimeout(timer)
      this.#waiters.delete(come)
    })
  }

  async #follow(url: string): Promise<void> {
    const { signal } = this.#abort
    while (!signal.aborted) {
      try {
        const { body } = await fetch(`${url}/events`, { signal })
        if (body !== null)
          for await (const line of createInterface({ input: Readable.fromWeb(body as never) }))
            this.#keep(line)
      } catch {
        // The JobManager is not there: that is what is being measured.
      }
      if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
  }

  #keep(line: string): void {
    const facts = JSON.parse(line) as JobFacts
    if (!facts.leading) return
    this.seen.push({ at: performance.now(), facts })
    for (const wake of this.#waiters) wake()
  }
}
