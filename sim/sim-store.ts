import { WeirError } from '#runtime/base/errors'
import type { CheckpointStore, ListOptions, StoredObject } from '#runtime/storage/checkpoint-store'
import { MemoryObjects } from '#runtime/storage/memory-store'
import { missing } from '#runtime/storage/paths'
import type { Random } from './random.ts'
import type { SimNode, World } from './world.ts'

/** What happens to objects, told to the oracle. */
export interface ObjectEvents {
  onCreated(key: string, bytes: Uint8Array): void
  onOverwritten(key: string): void
  onDeleted(key: string): void
}

/** The object store itself: linearizable, shared by all processes. */
export class SimObjects extends MemoryObjects {
  readonly #world: World
  events: ObjectEvents | undefined
  constructor(world: World) {
    super(() => world.clock.now())
    this.#world = world
  }
  override create(key: string, bytes: Uint8Array): 'created' | 'exists' {
    const result = super.create(key, bytes)
    if (result === 'created') this.events?.onCreated(key, bytes)
    else if (
      this.#world.is('drop-fence-check') &&
      key.startsWith('log/') &&
      Buffer.compare(this.get(key) as Uint8Array, bytes) !== 0
    ) {
      this.overwrite(key, bytes)
      this.events?.onOverwritten(key)
      return 'created'
    }
    return result
  }
  override delete(key: string): void {
    if (this.get(key) !== undefined) this.events?.onDeleted(key)
    super.delete(key)
  }
}

const DEADLINE_MS = 250

/**
 * The store as one process reaches it: requests and answers take time, get lost, and a request
 * given up by its sender may still be carried out later (G4).
 */
export class SimStore implements CheckpointStore {
  readonly url = 'memory://job'
  readonly #node: SimNode
  readonly #objects: SimObjects
  readonly #random: Random
  readonly #reach: { storeBlockedUntil: number }

  constructor(node: SimNode, objects: SimObjects, reach: { storeBlockedUntil: number }) {
    this.#node = node
    this.#objects = objects
    this.#random = node.world.random.fork()
    this.#reach = reach
  }

  create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const copy = Uint8Array.from(bytes)
    return this.#call(`create ${key}`, () => this.#objects.create(key, copy))
  }
  get(key: string): Promise<Uint8Array> {
    return this.#call(`get ${key}`, () => Uint8Array.from(this.#existing(key)))
  }
  getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    return this.#call(`get ${key}`, () => this.#existing(key).slice(start, start < 0 ? undefined : end))
  }
  list(prefix: string, options: ListOptions = {}): Promise<StoredObject[]> {
    const { startAfter = '', limit = Infinity } = options
    return this.#call(`list ${prefix}`, () =>
      this.#objects
        .list(prefix)
        .filter((o) => o.key > startAfter)
        .slice(0, limit),
    )
  }
  delete(keys: readonly string[]): Promise<void> {
    return this.#call(`delete ${keys.join(' ')}`, () => {
      for (const key of keys) this.#objects.delete(key)
    })
  }
  close(): Promise<void> {
    return Promise.resolve()
  }

  #existing(key: string): Uint8Array {
    const bytes = this.#objects.get(key)
    if (bytes === undefined) throw missing(this.url, key)
    return bytes
  }

  #call<T>(what: string, effect: () => T): Promise<T> {
    const { world, life } = this.#node
    const random = this.#random
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const answer = (run: () => void) => this.#node.deliver(life, run)
    world.clock.after(DEADLINE_MS, () =>
      answer(() => reject(new WeirError('STO_UNAVAILABLE', `${what}: no answer within ${DEADLINE_MS} ms`))),
    )
    const faulty = world.faulty
    const blocked = world.clock.monotonic() < this.#reach.storeBlockedUntil
    if (blocked || (faulty && random.chance(0.01))) return promise
    // Some requests arrive long after their sender has given up.
    const there = faulty && random.chance(0.02) ? random.between(50, 1500) : 0.5 + random.next() * 4
    const back = 0.5 + random.next() * 4
    const answerLost = faulty && random.chance(0.02)
    world.clock.after(there, () => {
      let outcome: () => void
      try {
        const result = effect()
        outcome = () => resolve(result)
      } catch (error) {
        outcome = () => reject(error as Error)
      }
      if (!answerLost) world.clock.after(back, () => answer(outcome))
    })
    return promise
  }
}
