import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { type FileHandle, link, mkdir, open, opendir, readdir, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { systemCode, messageOf, WeirError, type ErrorCode } from '#runtime/base/errors'
import type { CallOptions, CheckpointStore, ListOptions, StoredObject } from './checkpoint-store.ts'
import { assertKey, assertPrefix, keyUrl, missing } from './paths.ts'

const TEMPORARY = '.tmp'
const TEMPORARY_MAX_AGE_MS = 3_600_000
/** One call reads less than 2 GiB; between two an abort is noticed. */
const READ_BYTES = 64 * 1024 * 1024

/**
 * Objects as files below a directory of a POSIX file system (local or shared, with hard links).
 * create = write `<root>/.tmp/<random>`, fsync it, link(2) it to the final name (atomic, EEXIST for
 * all but one), fsync the directory, unlink the temporary. Temporaries of crashed processes are
 * removed by a later `create` when they are an hour old.
 *
 * What is told is durable: neither `created` nor `exists` is answered, and nothing of this store's
 * own making is read, before the directory has been synced, however often that fails.
 */
export class FileStore implements CheckpointStore {
  readonly url: string
  readonly #root: string
  #prepared: Promise<void> | undefined
  /** The root, or what above it had to be made. */
  #topmost: string
  /** Directories whose own entry has been synced. */
  readonly #durable = new Set<string>()
  /** Files made here whose entry has not been synced yet. */
  readonly #unsynced = new Set<string>()
  constructor(root: string) {
    this.#root = resolve(root)
    this.#topmost = this.#root
    this.url = pathToFileURL(this.#root).href
  }

  async create(key: string, bytes: Uint8Array, options: CallOptions = {}): Promise<'created' | 'exists'> {
    assertKey(key)
    options.signal?.throwIfAborted()
    const temporary = join(this.#root, TEMPORARY, `${process.pid}-${randomBytes(12).toString('hex')}`)
    try {
      await this.#prepare()
      await writeDurably(temporary, bytes)
      return await this.#link(temporary, this.#path(key))
    } catch (error) {
      throw this.#classify(error, 'create', key)
    } finally {
      await unlink(temporary).catch(() => undefined)
    }
  }

  async get(key: string, options: CallOptions = {}): Promise<Uint8Array> {
    assertKey(key)
    options.signal?.throwIfAborted()
    try {
      await this.#syncIfOpen(this.#path(key))
      await using file = await open(this.#path(key), 'r')
      return await readAt(file, { start: 0, end: (await file.stat()).size }, options)
    } catch (error) {
      options.signal?.throwIfAborted()
      throw this.#classify(error, 'read', key)
    }
  }

  async getRange(key: string, start: number, end: number, options: CallOptions = {}): Promise<Uint8Array> {
    assertKey(key)
    options.signal?.throwIfAborted()
    try {
      await this.#syncIfOpen(this.#path(key))
      await using file = await open(this.#path(key), 'r')
      const { size } = await file.stat()
      const from = start < 0 ? Math.max(0, size + start) : Math.min(start, size)
      const to = start < 0 ? size : Math.max(from, Math.min(end, size))
      return await readAt(file, { start: from, end: to }, options)
    } catch (error) {
      options.signal?.throwIfAborted()
      throw this.#classify(error, 'read', key)
    }
  }

  async list(prefix: string, options: ListOptions = {}): Promise<StoredObject[]> {
    assertPrefix(prefix)
    options.signal?.throwIfAborted()
    const { startAfter = '', limit = Infinity } = options
    try {
      const slash = prefix.lastIndexOf('/')
      const keys: string[] = []
      await this.#collect(slash < 0 ? '' : prefix.slice(0, slash), (key) => {
        if (key.startsWith(prefix) && key > startAfter) keys.push(key)
      })
      keys.sort()
      const objects: StoredObject[] = []
      for (const key of keys) {
        if (objects.length >= limit) break
        await this.#syncIfOpen(this.#path(key))
        const info = await statIfPresent(this.#path(key))
        if (info !== undefined)
          objects.push({ key, sizeBytes: info.size, modifiedAt: Math.round(info.mtimeMs) })
      }
      return objects
    } catch (error) {
      throw this.#classify(error, 'list', prefix)
    }
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) {
      assertKey(key)
      options.signal?.throwIfAborted()
      try {
        await unlink(this.#path(key)).catch(ignore('ENOENT', 'ENOTDIR'))
        this.#unsynced.delete(this.#path(key))
        await this.#pruneDirectories(dirname(this.#path(key)))
      } catch (error) {
        throw this.#classify(error, 'delete', key)
      }
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #path(key: string): string {
    return join(this.#root, ...key.split('/'))
  }

  #prepare(): Promise<void> {
    this.#prepared ??= this.#prepareOnce().catch((error: unknown) => {
      this.#prepared = undefined
      throw error
    })
    return this.#prepared
  }

  async #prepareOnce(): Promise<void> {
    const directory = join(this.#root, TEMPORARY)
    await this.#makeDirectory(directory)
    const oldest = Date.now() - TEMPORARY_MAX_AGE_MS
    for (const name of await readdir(directory)) {
      const info = await statIfPresent(join(directory, name))
      if (info !== undefined && info.mtimeMs < oldest)
        await unlink(join(directory, name)).catch(ignore('ENOENT'))
    }
  }

  async #link(temporary: string, path: string): Promise<'created' | 'exists'> {
    // A concurrent `delete` may prune the directory between mkdir and link; each round makes it
    // again.
    for (let round = 0; ; round++) {
      await this.#makeDirectory(dirname(path))
      let answer: 'created' | 'exists' = 'created'
      try {
        await link(temporary, path)
      } catch (error) {
        const code = systemCode(error)
        if (code === 'ENOENT' && round < 100) continue
        // Over NFS a repeated request may answer EEXIST to the one that made the link: two names of
        // our own file say so.
        if (code !== 'EEXIST') throw error
        if ((await stat(temporary)).nlink < 2) answer = 'exists'
      }
      this.#unsynced.add(path)
      await this.#syncLink(path)
      return answer
    }
  }

  /**
   * mkdir -p; the entry of each directory is synced in its parent, whoever made it, so that the
   * path itself survives a crash. Above the root only what was made here, and as far as it may be
   * read.
   */
  async #makeDirectory(path: string): Promise<void> {
    const first = await mkdir(path, { recursive: true })
    if (first !== undefined && first.length < this.#topmost.length) this.#topmost = first
    for (let at = path; at.length >= this.#topmost.length && at !== dirname(at); at = dirname(at)) {
      const isNew = first !== undefined && at.length >= first.length
      if (this.#durable.has(at) && !isNew) continue
      const ignored = at.length > this.#root.length ? ignore('ENOENT') : ignore('ENOENT', 'EACCES')
      if ((await syncDirectory(dirname(at)).then(() => true, ignored)) === true) this.#durable.add(at)
    }
  }

  async #syncIfOpen(path: string): Promise<void> {
    if (!this.#unsynced.has(path)) return
    if ((await statIfPresent(path)) === undefined) this.#unsynced.delete(path)
    else await this.#syncLink(path)
  }

  /**
   * The object is there; whether it would outlive a crash is unknown until its directory is synced.
   */
  async #syncLink(path: string): Promise<void> {
    try {
      await syncDirectory(dirname(path))
      this.#unsynced.delete(path)
    } catch (error) {
      throw new WeirError(
        'STO_UNAVAILABLE',
        `${path} is there but its directory could not be synced: ${messageOf(error)}.`,
        { cause: error },
      )
    }
  }

  async #collect(directory: string, found: (key: string) => void): Promise<void> {
    const entries = await opendir(directory === '' ? this.#root : this.#path(directory)).catch(
      ignore('ENOENT', 'ENOTDIR'),
    )
    if (entries === undefined) return
    const subdirectories: string[] = []
    for await (const entry of entries) {
      if (entry.name.startsWith('.')) continue
      const key = directory === '' ? entry.name : `${directory}/${entry.name}`
      if (entry.isDirectory()) subdirectories.push(key)
      else found(key)
    }
    for (const subdirectory of subdirectories) await this.#collect(subdirectory, found)
  }

  async #pruneDirectories(directory: string): Promise<void> {
    for (let at = directory; at.startsWith(this.#root + sep); at = dirname(at)) {
      try {
        await rmdir(at)
        this.#durable.delete(at)
      } catch {
        return
      }
    }
  }

  #classify(error: unknown, verb: string, key: string): unknown {
    if (error instanceof WeirError) return error
    const code = systemCode(error)
    if (code === 'ENOENT') return missing(this.url, key, error)
    const attempt = `Cannot ${verb} ${keyUrl(this.url, key)}`
    const kind = KINDS.find(({ codes }) => code !== undefined && codes.includes(code))
    const options = { cause: error, context: { key, code } }
    if (kind === undefined)
      return new WeirError('STO_UNAVAILABLE', `${attempt}: ${messageOf(error)}.`, options)
    return new WeirError(kind.code, `${attempt}: ${kind.text(this.#root, code ?? '')}`, options)
  }
}

interface Kind {
  readonly codes: readonly string[]
  readonly code: ErrorCode
  readonly text: (root: string, code: string) => string
}

const KINDS: readonly Kind[] = [
  {
    codes: ['EACCES'],
    code: 'STO_DENIED',
    text: (root) => `permission denied. Give this user read and write access to ${root}.`,
  },
  {
    codes: ['EROFS'],
    code: 'STO_DENIED',
    text: (root) => `the file system is read-only. Mount ${root} writable.`,
  },
  {
    codes: ['ENOSPC', 'EDQUOT'],
    code: 'STO_UNAVAILABLE',
    text: (root) => `no space left for ${root}. Free space or raise the quota.`,
  },
  {
    codes: ['EPERM', 'ENOTSUP', 'EXDEV', 'ENOSYS'],
    code: 'STO_UNSAFE',
    text: (_, code) =>
      `the file system refused a hard link (${code}), so objects cannot be created exactly once. ` +
      'Use another file system.',
  },
  {
    codes: ['ENOTDIR', 'EISDIR', 'EEXIST'],
    code: 'STO_CORRUPT',
    text: (_, code) =>
      `a file and a directory want the same name (${code}). ` +
      'Expected a directory that only Weir writes to.',
  },
]

function ignore(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(systemCode(error) ?? '')) throw error
    return undefined
  }
}

const statIfPresent = (path: string): Promise<Stats | undefined> =>
  stat(path).catch(ignore('ENOENT', 'ENOTDIR'))

/** Bytes [start, end) of a file; fewer only where it ends before. */
async function readAt(
  file: FileHandle,
  { start, end }: { readonly start: number; readonly end: number },
  { signal }: CallOptions,
): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(end - start)
  let filled = 0
  while (filled < bytes.byteLength) {
    const length = Math.min(READ_BYTES, bytes.byteLength - filled)
    const { bytesRead } = await file.read(bytes, filled, length, start + filled)
    signal?.throwIfAborted()
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'wx', 0o644)
  await file.writeFile(bytes)
  await file.sync()
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r')
  await directory.sync()
}
