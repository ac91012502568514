/** Writes the input while the job reads it: one whole file after the other. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, sleep } from '#runtime/base/clock'
import type { Bucket } from '#runtime/storage/bucket'
import { recordsOfFile } from './records.ts'

/** Puts one file where the job finds it, as a whole. Idempotent. */
export type PutFile = (name: string, text: string) => Promise<void>

export const EVERY_MS = 250
const RETRY_MS = 300

/** `directory` is made where it is missing. */
export function intoDirectory(directory: string): PutFile {
  mkdirSync(directory, { recursive: true })
  return (name, text) => {
    const hidden = join(directory, `.${name}`)
    writeFileSync(hidden, text)
    renameSync(hidden, join(directory, name))
    return Promise.resolve()
  }
}

export const intoBucket =
  (bucket: Bucket, prefix: string): PutFile =>
  (name, text) =>
    bucket.put(prefix + name, Buffer.from(text))

export class InputWriter implements AsyncDisposable {
  readonly #seed: number
  readonly #put: PutFile
  readonly #clock: Clock
  readonly #ending = new AbortController()
  /** Nobody reads any more. */
  readonly #closing = new AbortController()
  readonly #ended: Promise<void>
  #files = 0

  constructor(seed: number, put: PutFile, clock: Clock) {
    this.#seed = seed
    this.#put = put
    this.#clock = clock
    this.#ended = this.#write()
  }

  /** Files that are there, or may be. */
  get files(): number {
    return this.#files
  }

  /** Writes no more; resolves when the last file is there for certain. */
  async end(): Promise<void> {
    this.#ending.abort()
    await this.#ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.end()
  }

  async #write(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      const index = this.#files++
      const lines = recordsOfFile(this.#seed, index).map((record) => `${JSON.stringify(record)}\n`)
      await this.#putUntilCertain(`in-${String(index).padStart(6, '0')}.jsonl`, lines.join(''))
      await sleep(this.#clock, EVERY_MS, signal).catch(() => undefined)
    }
  }

  /** The server of the input may be among what is being stopped. */
  async #putUntilCertain(name: string, text: string): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        return await this.#put(name, text)
      } catch {
        await sleep(this.#clock, RETRY_MS, this.#closing.signal).catch(() => undefined)
      }
    }
  }
}
