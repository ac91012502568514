/**
 * The wall clock of each process, which can be stepped while the process runs. The monotonic clock
 * is left alone, as a step of a real machine leaves it.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Found } from './machine.ts'

export class Clocks {
  readonly #library: Found
  readonly #directory: string

  constructor(library: Found, directory: string, processes: readonly string[]) {
    this.#library = library
    this.#directory = directory
    mkdirSync(directory, { recursive: true })
    for (const name of processes) this.set(name, 0)
  }

  environment(name: string): Readonly<Record<string, string>> {
    if (!('at' in this.#library)) return {}
    return {
      LD_PRELOAD: this.#library.at,
      FAKETIME_TIMESTAMP_FILE: this.#file(name),
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    }
  }

  /** Seconds off; 0 is right. Takes effect within a second. */
  set(name: string, offsetSeconds: number): void {
    const file = this.#file(name)
    writeFileSync(`${file}.new`, `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}s\n`)
    renameSync(`${file}.new`, file)
  }

  #file(name: string): string {
    return join(this.#directory, name)
  }
}
