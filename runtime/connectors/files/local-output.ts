import { mkdir, open, readdir, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '#runtime/base/errors'
import { remove, syncDirectory, unwritable } from './local-commit.ts'
import type { FileCommittable, Output, OutputFile, OutputNames } from './output.ts'

/**
 * Files of a directory: written under a hidden name, synced, and linked to their name at commit.
 */
export class LocalOutput implements Output {
  readonly #directory: string
  readonly #names: OutputNames

  constructor(directory: string, names: OutputNames) {
    this.#directory = directory
    this.#names = names
  }

  begin(number: number): OutputFile {
    return new LocalOutputFile(
      this.#directory,
      join(this.#directory, this.#names.temporary(number)),
      join(this.#directory, this.#names.final(number)),
    )
  }

  async recover(restored: readonly FileCommittable[]): Promise<void> {
    const keep = new Set(restored.map((c) => (c.type === 'local' ? c.temporary : '')))
    let names: string[]
    try {
      names = await readdir(this.#directory)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return
      throw unwritable('list', this.#directory, error)
    }
    for (const name of names) {
      const path = join(this.#directory, name)
      if (this.#names.isOlderTemporary(name) && !keep.has(path)) await remove(path)
    }
  }

  close(): void {}
}

class LocalOutputFile implements OutputFile {
  readonly #directory: string
  readonly #temporary: string
  readonly #final: string
  #handle: FileHandle | undefined

  constructor(directory: string, temporary: string, final: string) {
    this.#directory = directory
    this.#temporary = temporary
    this.#final = final
  }

  async append(bytes: Buffer): Promise<void> {
    try {
      this.#handle ??= await this.#create()
      await this.#handle.appendFile(bytes)
    } catch (error) {
      throw unwritable('write', this.#temporary, error)
    }
  }

  async finish(): Promise<FileCommittable> {
    try {
      this.#handle ??= await this.#create()
      await this.#handle.sync()
      await this.#handle.close()
      await syncDirectory(this.#directory)
    } catch (error) {
      throw unwritable('sync', this.#temporary, error)
    }
    return { type: 'local', temporary: this.#temporary, final: this.#final }
  }

  async discard(): Promise<void> {
    if (this.#handle === undefined) return
    await this.#handle.close().catch(() => undefined)
    await remove(this.#temporary)
  }

  async #create(): Promise<FileHandle> {
    await mkdir(this.#directory, { recursive: true })
    return open(this.#temporary, 'wx')
  }
}
