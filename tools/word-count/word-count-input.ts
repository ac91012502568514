import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep, systemClock } from '#runtime/base/clock'
import { sampleText } from './sample-text.ts'
import type { TryOutStore } from './try-out-store.ts'

const BYTES_PER_FILE = 20_000
const PACE_MS = 400

/**
 * The growing input of a word count: files go to the store one after another, and a copy of each
 * stays here for the independent count.
 */
export class WordCountInput {
  readonly directory: string
  readonly #store: TryOutStore
  readonly #prefix: string
  #files = 0
  #bytes = 0
  #feeding: { readonly stop: AbortController; readonly done: Promise<void> } | undefined
  constructor(store: TryOutStore, prefix: string, directory: string) {
    this.#store = store
    this.#prefix = prefix
    this.directory = directory
  }

  get files(): number {
    return this.#files
  }
  get bytes(): number {
    return this.#bytes
  }

  /** The local copy is written first: what may have reached the store is always counted. */
  async add(text: string): Promise<void> {
    const name = `${String(++this.#files).padStart(6, '0')}.txt`
    this.#bytes += text.length
    await mkdir(this.directory, { recursive: true })
    await writeFile(join(this.directory, name), text)
    await this.#store.put(`${this.#prefix}${name}`, text)
  }

  async addSamples(count: number): Promise<void> {
    for (let n = 0; n < count; n++)
      await this.add(sampleText('more water', 1000 + this.#files, BYTES_PER_FILE))
  }

  /** New files at a steady pace until `pause`. */
  feed(): void {
    if (this.#feeding !== undefined) return
    const stop = new AbortController()
    const done = (async () => {
      while (!stop.signal.aborted) {
        await this.addSamples(1)
        await sleep(systemClock, PACE_MS, stop.signal).catch(() => {})
      }
    })()
    // Thrown by `pause`, which every user of `feed` awaits.
    done.catch(() => {})
    this.#feeding = { stop, done }
  }

  async pause(): Promise<void> {
    const feeding = this.#feeding
    this.#feeding = undefined
    feeding?.stop.abort()
    await feeding?.done
  }
}
