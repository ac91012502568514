import type { Dirent } from 'node:fs'
import { open, readdir, stat, type FileHandle } from 'node:fs/promises'
import { WeirError, messageOf, systemCode } from '#runtime/base/errors'
import { matchesPattern, type FilePattern } from './file-pattern.ts'
import type { FileSplit, FileTree, OpenFile } from './file-tree.ts'

/**
 * Files of the machine. Links to files are followed, links to directories are not (they could lead
 * in circles).
 */
export class LocalFileTree implements FileTree {
  readonly chunkBytes = 256 * 1024
  readonly #pattern: FilePattern

  constructor(pattern: FilePattern) {
    this.#pattern = pattern
  }

  async list(isNew: (path: string) => boolean): Promise<FileSplit[]> {
    const { base, isGlob, text } = this.#pattern
    const found: FileSplit[] = []
    const top = await statOf(base)
    if (top === undefined && !isGlob)
      throw new WeirError('STO_MISSING', `${text} does not exist. Expected a file or directory to read.`)
    if (top?.isDirectory()) await this.#walk(base, isNew, found)
    else if (top?.isFile() && isNew(base)) found.push({ path: base, sizeBytes: top.size })
    return found.sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  async open(split: FileSplit): Promise<OpenFile> {
    try {
      return new LocalOpenFile(split, await open(split.path, 'r'))
    } catch (error) {
      throw unreadable(split.path, error)
    }
  }

  close(): void {}

  async #walk(directory: string, isNew: (path: string) => boolean, found: FileSplit[]): Promise<void> {
    let entries: Dirent[]
    try {
      entries = await readdir(directory, { withFileTypes: true })
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return
      throw unreadable(directory, error)
    }
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue
      const path =
        directory === '.' ? entry.name : directory === '/' ? `/${entry.name}` : `${directory}/${entry.name}`
      if (entry.isDirectory()) await this.#walk(path, isNew, found)
      else if (matchesPattern(this.#pattern, path) && isNew(path)) {
        const file = await statOf(path)
        if (file?.isFile()) found.push({ path, sizeBytes: file.size })
      }
    }
  }
}

class LocalOpenFile implements OpenFile {
  readonly #split: FileSplit
  readonly #handle: FileHandle
  constructor(split: FileSplit, handle: FileHandle) {
    this.#split = split
    this.#handle = handle
  }

  async read(start: number, end: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(end - start)
    let length = 0
    try {
      while (length < buffer.length) {
        const { bytesRead } = await this.#handle.read(buffer, length, buffer.length - length, start + length)
        if (bytesRead === 0) break
        length += bytesRead
      }
    } catch (error) {
      throw unreadable(this.#split.path, error)
    }
    if (length === buffer.length) return buffer
    const { path, sizeBytes } = this.#split
    throw new WeirError(
      'STO_MISSING',
      `${path} had ${sizeBytes} bytes when it was found and has only ${start + length} now. Files must not change once they are there: write them elsewhere and move them in.`,
    )
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

async function statOf(path: string) {
  try {
    return await stat(path)
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
    throw unreadable(path, error)
  }
}

function unreadable(path: string, error: unknown): WeirError {
  const code = systemCode(error)
  if (code === 'ENOENT')
    return new WeirError('STO_MISSING', `${path} was there when it was found and is gone now.`, {
      cause: error,
    })
  return new WeirError(
    code === 'EACCES' || code === 'EPERM' ? 'STO_DENIED' : 'STO_UNAVAILABLE',
    `Cannot read ${path}: ${messageOf(error)}.`,
    { cause: error },
  )
}
