import { WeirError } from '#runtime/base/errors'
import type { Disk, DiskReader, DiskStat, DiskWriter } from '#runtime/storage/disk'
import type { Caller } from './caller.ts'

/** Files of a file system that all processes of a simulation share, by path. */
export class SimFiles {
  readonly files = new Map<string, Uint8Array[]>()
  readonly #directories = new Set<string>()
  /** Told of every file that is made. */
  onCreated: (path: string) => void = () => undefined
  /** Until then nothing can be written. */
  fullUntil = 0
  openHandles = 0

  kindOf(path: string): DiskStat | undefined {
    const file = this.files.get(path)
    if (file !== undefined) return { kind: 'file', sizeBytes: lengthOf(file) }
    return this.#directories.has(path) ? { kind: 'directory', sizeBytes: 0 } : undefined
  }

  makeDirectory(path: string): void {
    for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) this.#directories.add(at)
  }

  namesIn(path: string): string[] {
    const prefix = `${path}/`
    return [...this.files.keys(), ...this.#directories].flatMap((p) =>
      p.startsWith(prefix) && !p.slice(prefix.length).includes('/') ? [p.slice(prefix.length)] : [],
    )
  }

  read(path: string): Uint8Array {
    return Buffer.concat(this.files.get(path) ?? [])
  }
}

const lengthOf = (parts: readonly Uint8Array[]): number =>
  parts.reduce((sum, part) => sum + part.byteLength, 0)

const missing = (what: string, path: string): WeirError =>
  new WeirError('STO_MISSING', `Cannot ${what} ${path}: it does not exist.`)

/** The disk as one thread of a simulated process reaches it. */
export function simDisk(files: SimFiles, caller: Caller): Disk {
  const call = <T>(effect: () => T): Promise<T> => caller.call('disk', effect)
  return {
    list: (path) =>
      call(() => {
        if (files.kindOf(path)?.kind !== 'directory') throw missing('list', path)
        return files
          .namesIn(path)
          .map((name) => ({ name, kind: files.kindOf(`${path}/${name}`)?.kind ?? 'other' }))
      }),
    stat: (path) => call(() => files.kindOf(path)),
    create: (path) =>
      call(() => {
        refuseWhenFull(files, caller, path)
        if (files.kindOf(path) !== undefined)
          throw new WeirError('STO_EXISTS', `Cannot create ${path}: something has that name already.`)
        if (files.kindOf(path.slice(0, path.lastIndexOf('/')))?.kind !== 'directory')
          throw missing('create', path)
        files.files.set(path, [])
        files.onCreated(path)
        return writer(files, caller, path)
      }),
    open: (path) =>
      call(() => {
        if (files.kindOf(path)?.kind !== 'file') throw missing('open', path)
        return reader(files, caller, path)
      }),
    rename: (from, to) =>
      call(() => {
        const file = files.files.get(from)
        if (file === undefined) throw missing(`rename to ${to}:`, from)
        files.files.delete(from)
        files.files.set(to, file)
      }),
    remove: (path) => call(() => void files.files.delete(path)),
    makeDirectory: (path) => call(() => files.makeDirectory(path)),
    syncDirectory: () => call(() => undefined),
  }
}

function refuseWhenFull(files: SimFiles, { world }: Caller, path: string): void {
  if (files.fullUntil > world.clock.monotonic())
    throw new WeirError('STO_UNAVAILABLE', `Cannot write ${path}: no space is left. Free some.`)
}

function writer(files: SimFiles, caller: Caller, path: string): DiskWriter {
  // The handle stays with the file, whatever name it gets.
  const file = files.files.get(path) as Uint8Array[]
  return {
    append: (bytes) => {
      const copy = Uint8Array.from(bytes)
      return caller.call('disk', () => {
        refuseWhenFull(files, caller, path)
        file.push(copy)
      })
    },
    sync: () => caller.call('disk', () => refuseWhenFull(files, caller, path)),
    close: () => Promise.resolve(),
  }
}

function reader(files: SimFiles, caller: Caller, path: string): DiskReader {
  return {
    read: (start, end) => caller.call('disk', () => files.read(path).slice(start, end)),
    close: () => Promise.resolve(),
  }
}
