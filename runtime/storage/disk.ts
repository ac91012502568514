/**
 * A file system as connectors need it, and the machine's own. Whoever calls decides what to repeat:
 * nothing is tried twice here. Foreign errors are classified here and nowhere else.
 *
 * What holds for every Disk:
 * D1 `rename` is atomic: whoever looks, also after a crash, finds the file under one of the names.
 * D2 What was appended survives a crash of the machine once `sync` has resolved; names made, moved
 *    or removed in a directory survive it once `syncDirectory` of that directory has resolved.
 * D3 A call that rejects with STO_UNAVAILABLE may have done its work all the same.
 */
import type { Stats } from 'node:fs'
import { mkdir, open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf, systemCode, WeirError, type ErrorCode } from '#runtime/base/errors'

/** `other`: neither; a link is `other` in a listing, and what it leads to in `stat`. */
export type DiskEntryKind = 'file' | 'directory' | 'other'

export interface DiskEntry {
  readonly name: string
  readonly kind: DiskEntryKind
}

export interface DiskStat {
  readonly kind: DiskEntryKind
  readonly sizeBytes: number
}

/** All calls reject with STO_DENIED or STO_UNAVAILABLE, and with what is named at them. */
export interface Disk {
  /** The entries of a directory, in no particular order. @throws {WeirError} STO_MISSING */
  list(path: string): Promise<DiskEntry[]>
  /** What is at `path`, links followed; undefined: nothing. */
  stat(path: string): Promise<DiskStat | undefined>
  /** A new, empty file. @throws {WeirError} STO_EXISTS, STO_MISSING without the directory */
  create(path: string): Promise<DiskWriter>
  /** @throws {WeirError} STO_MISSING */
  open(path: string): Promise<DiskReader>
  /** Replaces what has the name `to`. @throws {WeirError} STO_MISSING when there is no `from` */
  rename(from: string, to: string): Promise<void>
  /** Of a file. Idempotent. */
  remove(path: string): Promise<void>
  /** With its parents, durably. Idempotent. @throws {WeirError} STO_EXISTS: a file has the name */
  makeDirectory(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
}

/** Calls are made one after the other. After a rejection the file's content is not known. */
export interface DiskWriter {
  append(bytes: Uint8Array): Promise<void>
  sync(): Promise<void>
  /** Idempotent. */
  close(): Promise<void>
}

export interface DiskReader {
  /** Bytes [start, end) of the file as it is now; fewer only where it ends before. */
  read(start: number, end: number): Promise<Uint8Array>
  /** Idempotent. */
  close(): Promise<void>
}

export const nodeDisk: Disk = {
  list: (path) =>
    classified('list', path, async () => {
      const entries = await readdir(path, { withFileTypes: true })
      return entries.map((entry) => ({ name: entry.name, kind: kindOf(entry) }))
    }),

  stat: (path) =>
    classified('look for', path, async () => {
      try {
        const stats = await stat(path)
        return { kind: kindOf(stats), sizeBytes: stats.size }
      } catch (error) {
        if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
        throw error
      }
    }),

  create: (path) => classified('create', path, async () => new NodeWriter(path, await open(path, 'wx'))),

  open: (path) => classified('open', path, async () => new NodeReader(path, await open(path, 'r'))),

  rename: (from, to) => classified(`rename ${from} to`, to, () => rename(from, to), from),

  remove: (path) =>
    classified('remove', path, async () => {
      try {
        await unlink(path)
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw error
      }
    }),

  makeDirectory: (path) =>
    classified('make the directory', path, async () => {
      const first = await mkdir(path, { recursive: true })
      if (first === undefined) return
      for (let at = path; at.length >= first.length && at !== dirname(at); at = dirname(at))
        await syncPath(dirname(at))
    }),

  syncDirectory: (path) => classified('sync', path, () => syncPath(path)),
}

class NodeWriter implements DiskWriter {
  readonly #path: string
  readonly #handle: FileHandle
  #closed = false

  constructor(path: string, handle: FileHandle) {
    this.#path = path
    this.#handle = handle
  }

  append(bytes: Uint8Array): Promise<void> {
    return classified('write', this.#path, () => this.#handle.appendFile(bytes))
  }

  sync(): Promise<void> {
    return classified('sync', this.#path, () => this.#handle.sync())
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await classified('close', this.#path, () => this.#handle.close())
  }
}

class NodeReader implements DiskReader {
  readonly #path: string
  readonly #handle: FileHandle
  #closed = false

  constructor(path: string, handle: FileHandle) {
    this.#path = path
    this.#handle = handle
  }

  read(start: number, end: number): Promise<Uint8Array> {
    return classified('read', this.#path, async () => {
      const bytes = Buffer.allocUnsafeSlow(end - start)
      let filled = 0
      while (filled < bytes.length) {
        const { bytesRead } = await this.#handle.read(bytes, filled, bytes.length - filled, start + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return bytes.subarray(0, filled)
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await classified('close', this.#path, () => this.#handle.close())
  }
}

function kindOf(entry: Pick<Stats, 'isFile' | 'isDirectory'>): DiskEntryKind {
  if (entry.isFile()) return 'file'
  return entry.isDirectory() ? 'directory' : 'other'
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

interface Classified {
  readonly code: ErrorCode
  readonly advice: string
}

const SYSTEM_CODES: Readonly<Record<string, Classified>> = {
  ENOENT: { code: 'STO_MISSING', advice: 'it does not exist' },
  EEXIST: { code: 'STO_EXISTS', advice: 'something has that name already' },
  EISDIR: { code: 'STO_EXISTS', advice: 'a directory has that name' },
  ENOTDIR: { code: 'STO_DENIED', advice: 'a part of the path is a file. Expected a directory' },
  EACCES: { code: 'STO_DENIED', advice: 'permission denied. Give this user access' },
  EPERM: { code: 'STO_DENIED', advice: 'permission denied. Give this user access' },
  EROFS: { code: 'STO_DENIED', advice: 'the file system is read-only. Mount it writable' },
  ENOSPC: { code: 'STO_UNAVAILABLE', advice: 'no space is left. Free some, or raise the quota' },
  EDQUOT: { code: 'STO_UNAVAILABLE', advice: 'no space is left. Free some, or raise the quota' },
}

/**
 * Runs `work`; what it throws becomes the error that Weir shows. `missing`: what ENOENT is about.
 */
async function classified<T>(what: string, path: string, work: () => Promise<T>, missing = path): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof WeirError) throw error
    const system = systemCode(error) ?? ''
    const { code, advice } = SYSTEM_CODES[system] ?? { code: 'STO_UNAVAILABLE', advice: messageOf(error) }
    const subject = code === 'STO_MISSING' && missing !== path ? `${missing} does not exist` : advice
    throw new WeirError(code, `Cannot ${what} ${path}: ${subject}.`, {
      cause: error,
      context: { path, system },
    })
  }
}
