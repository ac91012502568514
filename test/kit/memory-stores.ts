import { MemoryObjects, MemoryStore, type MemoryHooks } from '#runtime/storage/memory-store'
import type { StoredObject } from '#runtime/storage/checkpoint-store'
import type { Stores } from '#runtime/storage/stores'

export const OWN_URL = 'file:///job'

/** All storage there is, by URL; the job's own root is one of its directories. */
export class MemoryDisk {
  /** Of the job's own root. */
  readonly own: MemoryObjects
  readonly #all: MemoryObjects

  constructor(now?: () => number) {
    this.#all = new MemoryObjects(now)
    this.own = this.below(OWN_URL)
  }

  below(url: string): MemoryObjects {
    return new Directory(this.#all, `${url.replace(/\/+$/, '')}/`)
  }

  /** As one process sees it. */
  stores(hooks: MemoryHooks = {}): Stores {
    const at = (url: string) => new MemoryStore({ objects: this.below(url), url, hooks })
    return { own: at(OWN_URL), at }
  }
}

/** The objects below a directory, by their keys in it. */
class Directory extends MemoryObjects {
  readonly #all: MemoryObjects
  readonly #path: string

  constructor(all: MemoryObjects, path: string) {
    super()
    this.#all = all
    this.#path = path
  }

  override create(key: string, bytes: Uint8Array): 'created' | 'exists' {
    return this.#all.create(this.#path + key, bytes)
  }
  override get(key: string): Uint8Array | undefined {
    return this.#all.get(this.#path + key)
  }
  override list(prefix: string, startAfter = '', limit = Infinity): StoredObject[] {
    const after = startAfter === '' ? '' : this.#path + startAfter
    const found = this.#all.list(this.#path + prefix, after, limit)
    return found.map((o) => ({ ...o, key: o.key.slice(this.#path.length) }))
  }
  override delete(key: string): void {
    this.#all.delete(this.#path + key)
  }
  override overwrite(key: string, bytes: Uint8Array): void {
    this.#all.overwrite(this.#path + key, bytes)
  }
}
