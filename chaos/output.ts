import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { filesBelow } from './files-below.ts'
import type { OutputRecord } from './records.ts'

export interface Output {
  readonly records: readonly OutputRecord[]
  /** In words: committed files that are gone or have changed. */
  readonly offences: readonly string[]
}

/**
 * Reads the committed files of a directory: those without a dot in front of any part of the path.
 * What was read once must stay as it was.
 */
export class OutputReader {
  readonly #directory: string
  readonly #known = new Map<string, readonly OutputRecord[]>()

  constructor(directory: string) {
    this.#directory = directory
  }

  async read(): Promise<Output> {
    const names = new Set(await this.#names())
    for (const name of names) {
      if (this.#known.has(name)) continue
      const text = await readFile(join(this.#directory, name), 'utf8')
      const lines = text.split('\n').filter((line) => line !== '')
      this.#known.set(
        name,
        lines.map((line) => JSON.parse(line) as OutputRecord),
      )
    }
    const gone = [...this.#known.keys()].filter((name) => !names.has(name))
    return {
      records: [...this.#known.values()].flat(),
      offences: gone.map((name) => `${name} was committed, and is gone`),
    }
  }

  /** Parts of output that was never committed, by their names. */
  async unpublishedFiles(): Promise<string[]> {
    const names = await this.#all()
    return names.filter((name) => isHidden(name) && !name.endsWith('.marker'))
  }

  async #names(): Promise<string[]> {
    return (await this.#all()).filter((name) => !isHidden(name))
  }

  #all(): Promise<string[]> {
    return filesBelow(this.#directory)
  }
}

const isHidden = (name: string): boolean => name.split('/').some((part) => part.startsWith('.'))
