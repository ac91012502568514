import { resolve } from 'node:path'
import { WeirError } from '#runtime/base/errors'
import type { Disk, DiskEntry, DiskReader } from '#runtime/storage/disk'
import { matchesPattern, type FilePattern } from './file-pattern.ts'
import type { FileSplit, FileTree, OpenFile } from './file-tree.ts'

/**
 * Files of a disk. Links to files are followed, links to directories are not (they could lead in
 * circles).
 */
export class LocalFileTree implements FileTree {
  readonly chunkBytes = 256 * 1024
  readonly #pattern: FilePattern
  readonly #disk: Disk

  constructor(pattern: FilePattern, disk: Disk) {
    this.#pattern = pattern
    this.#disk = disk
  }

  async list(isNew: (path: string) => boolean): Promise<FileSplit[]> {
    const { base, isGlob, text } = this.#pattern
    const found: FileSplit[] = []
    const top = await this.#disk.stat(base)
    if (top === undefined && !isGlob)
      throw new WeirError(
        'STO_MISSING',
        `${text} does not exist: there is no ${resolve(base)} here. Expected a file or directory to ` +
          "read; a source with watch: '1s' waits for one.",
      )
    if (top?.kind === 'directory') await this.#walk(base, isNew, found)
    else if (top?.kind === 'file' && isNew(base)) found.push({ path: base, sizeBytes: top.sizeBytes })
    return found.sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  async open(split: FileSplit): Promise<OpenFile> {
    try {
      return new LocalOpenFile(split, await this.#disk.open(split.path))
    } catch (error) {
      if (!isMissing(error)) throw error
      throw new WeirError('STO_MISSING', `${split.path} was there when it was found and is gone now.`, {
        cause: error,
      })
    }
  }

  async #walk(directory: string, isNew: (path: string) => boolean, found: FileSplit[]): Promise<void> {
    for (const { name, kind } of await this.#entries(directory)) {
      if (name.startsWith('.')) continue
      const path = directory === '.' ? name : directory === '/' ? `/${name}` : `${directory}/${name}`
      if (kind === 'directory') await this.#walk(path, isNew, found)
      else if (matchesPattern(this.#pattern, path) && isNew(path)) {
        const file = await this.#disk.stat(path)
        if (file?.kind === 'file') found.push({ path, sizeBytes: file.sizeBytes })
      }
    }
  }

  /** None where the directory has been removed meanwhile. */
  async #entries(directory: string): Promise<readonly DiskEntry[]> {
    try {
      return await this.#disk.list(directory)
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  }
}

class LocalOpenFile implements OpenFile {
  readonly #split: FileSplit
  readonly #reader: DiskReader

  constructor(split: FileSplit, reader: DiskReader) {
    this.#split = split
    this.#reader = reader
  }

  async read(start: number, end: number): Promise<Buffer> {
    const bytes = await this.#reader.read(start, end)
    if (bytes.byteLength === end - start) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const { path, sizeBytes } = this.#split
    const left = start + bytes.byteLength
    throw new WeirError(
      'STO_MISSING',
      `${path} had ${sizeBytes} bytes when it was found and has only ${left} now. ` +
        'Files must not change once they are there: write them elsewhere and move them in.',
    )
  }

  close(): Promise<void> {
    return this.#reader.close()
  }
}

const isMissing = (error: unknown): boolean => error instanceof WeirError && error.code === 'STO_MISSING'
