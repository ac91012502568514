import { WeirError } from '#runtime/base/errors'
import type { CallOptions, CheckpointStore, ListOptions, StoredObject } from './checkpoint-store.ts'
import { assertKey, assertPrefix, missing } from './paths.ts'

export type MemoryOperation = 'create' | 'get' | 'getRange' | 'list' | 'delete'

/**
 * Where faults and delays enter. `before` runs before the operation takes effect: throwing there is
 * a request that never arrived. `after` runs once it has taken effect: throwing there is a lost
 * response (for `create` the unknown outcome of G4). Both may wait. `key` is the key, the prefix of
 * `list`, or the first key of `delete`.
 */
export interface MemoryHooks {
  before?(operation: MemoryOperation, key: string): Promise<void> | void
  after?(operation: MemoryOperation, key: string): Promise<void> | void
}

/**
 * The objects themselves; several MemoryStores (one per simulated process, each with its own
 * faults) may share them.
 */
export class MemoryObjects {
  readonly #objects = new Map<string, { readonly bytes: Uint8Array; readonly modifiedAt: number }>()
  /** Sorted: a listing costs what it finds. */
  readonly #keys: string[] = []
  readonly #now: () => number
  constructor(now: () => number = Date.now) {
    this.#now = now
  }
  create(key: string, bytes: Uint8Array): 'created' | 'exists' {
    if (this.#objects.has(key)) return 'exists'
    this.#put(key, bytes)
    return 'created'
  }
  get(key: string): Uint8Array | undefined {
    return this.#objects.get(key)?.bytes
  }
  list(prefix: string, startAfter = '', limit = Infinity): StoredObject[] {
    const found: StoredObject[] = []
    for (let at = this.#indexOf(startAfter < prefix ? prefix : startAfter); found.length < limit; at++) {
      const key = this.#keys[at]
      if (key === undefined || !key.startsWith(prefix)) break
      const { bytes, modifiedAt } = this.#objects.get(key)!
      if (key !== startAfter) found.push({ key, sizeBytes: bytes.byteLength, modifiedAt })
    }
    return found
  }
  delete(key: string): void {
    if (this.#objects.delete(key)) this.#keys.splice(this.#indexOf(key), 1)
  }
  /** Damages an object, against G3: only for tests of corruption. */
  overwrite(key: string, bytes: Uint8Array): void {
    this.delete(key)
    this.#put(key, bytes)
  }
  #put(key: string, bytes: Uint8Array): void {
    this.#objects.set(key, { bytes: Uint8Array.from(bytes), modifiedAt: this.#now() })
    this.#keys.splice(this.#indexOf(key), 0, key)
  }
  /** Of the first key that is not below `key`. */
  #indexOf(key: string): number {
    let [from, to] = [0, this.#keys.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if ((this.#keys[middle] ?? key) < key) from = middle + 1
      else to = middle
    }
    return from
  }
}

export interface MemoryStoreOptions {
  readonly objects?: MemoryObjects
  readonly hooks?: MemoryHooks
  readonly url?: string
}

/**
 * A checkpoint store in memory with the guarantees G1-G4, for the simulator and for tests of code
 * above the port.
 */
export class MemoryStore implements CheckpointStore {
  readonly url: string
  readonly objects: MemoryObjects
  readonly #hooks: MemoryHooks
  #closed = false
  constructor(options: MemoryStoreOptions = {}) {
    this.url = options.url ?? 'memory://store'
    this.objects = options.objects ?? new MemoryObjects()
    this.#hooks = options.hooks ?? {}
  }

  async create(key: string, bytes: Uint8Array, options: CallOptions = {}): Promise<'created' | 'exists'> {
    assertKey(key)
    return this.#run('create', key, options, () => this.objects.create(key, bytes))
  }

  async get(key: string, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#run('get', key, options, () => Uint8Array.from(this.#existing(key)))
  }

  async getRange(key: string, start: number, end: number, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#run('getRange', key, options, () => {
      const bytes = this.#existing(key)
      return start < 0 ? bytes.slice(start) : bytes.slice(start, Math.max(start, end))
    })
  }

  async list(prefix: string, options: ListOptions = {}): Promise<StoredObject[]> {
    assertPrefix(prefix)
    const { startAfter = '', limit = Infinity } = options
    return this.#run('list', prefix, options, () => this.objects.list(prefix, startAfter, limit))
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    if (keys[0] === undefined) return
    await this.#run('delete', keys[0], options, () => keys.forEach((key) => this.objects.delete(key)))
  }

  close(): Promise<void> {
    this.#closed = true
    return Promise.resolve()
  }

  #existing(key: string): Uint8Array {
    const bytes = this.objects.get(key)
    if (bytes === undefined) throw missing(this.url, key)
    return bytes
  }

  async #run<T>(operation: MemoryOperation, key: string, options: CallOptions, effect: () => T): Promise<T> {
    if (this.#closed)
      throw new WeirError('STO_UNAVAILABLE', `Store ${this.url} is closed; ${operation} ${key} was not sent.`)
    options.signal?.throwIfAborted()
    await this.#hooks.before?.(operation, key)
    const result = effect()
    await this.#hooks.after?.(operation, key)
    return result
  }
}
