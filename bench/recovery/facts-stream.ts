import { sleep, systemClock } from '#runtime/base/clock'
import { JobManagerClient } from '#runtime/contract/job-manager-client'
import type { JobFacts } from '#runtime/contract/rest'

/** Facts as they came over the wire, with the moment of their arrival on `performance.now()`. */
export interface Seen {
  readonly at: number
  readonly facts: JobFacts
}

const RECONNECT_MS = 20

/**
 * Follows the facts of several JobManagers at once, and connects again to those that are gone; what
 * a leader says is kept.
 */
export class FactsStream implements AsyncDisposable {
  readonly #abort = new AbortController()
  readonly #followers: readonly Promise<void>[]
  readonly #waiters = new Set<() => void>()
  readonly seen: Seen[] = []

  constructor(urls: readonly string[]) {
    this.#followers = urls.map((url) => this.#follow(new JobManagerClient({ url }, { clock: systemClock })))
  }

  /**
   * The first facts, of those that have come and those to come, that satisfy `condition`.
   * @throws after `limitMs`, with the last facts
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
    const timer = systemClock.after(limitMs, () => resolve(false))
    this.#waiters.add(come)
    return promise.finally(() => {
      timer.cancel()
      this.#waiters.delete(come)
    })
  }

  async #follow(client: JobManagerClient): Promise<void> {
    const { signal } = this.#abort
    while (!signal.aborted) {
      // A JobManager that is not there is what is being measured.
      await this.#read(client, signal).catch(() => undefined)
      await sleep(systemClock, RECONNECT_MS, signal).catch(() => undefined)
    }
  }

  async #read(client: JobManagerClient, signal: AbortSignal): Promise<void> {
    for await (const facts of client.events(signal)) this.#keep(facts)
  }

  #keep(facts: JobFacts): void {
    if (!facts.leading) return
    this.seen.push({ at: performance.now(), facts })
    for (const wake of this.#waiters) wake()
  }
}
