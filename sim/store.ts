import { WeirError } from '#runtime/base/errors'
import type { CheckpointStore, ListOptions, StoredObject } from '#runtime/storage/checkpoint-store'
import { joinKey, keyUrl, missing } from '#runtime/storage/paths'
import type { Stores } from '#runtime/storage/stores'
import type { SimNode } from './node.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

/** What happens to objects, told to the oracle. Keys are whole: `<root of the job>/<key>`. */
export interface ObjectEvents {
  onCreated(key: string, bytes: Uint8Array): void
  onDeleted(key: string): void
}

/** blocked: no answer. full: nothing can be written. denied: the credentials are refused. */
export type StoreTrouble = 'blocked' | 'full' | 'denied'

/**
 * Asked before each request; what it answers happens to that request. failed, failedDone: the
 * server answers with an error at once, without or with having done it. held: it is sent when its
 * sender, which is suspended now, goes on.
 */
export type RequestFate =
  | 'normal'
  | 'lost'
  | 'answerLost'
  | 'late'
  | 'senderDies'
  | 'failed'
  | 'failedDone'
  | 'held'

const SCHEME = 's3://sim/'
/** Its clock is its own: in a run of some seconds, hours pass for it. */
const STORE_MS_PER_MS = 2000
/** Time without an answer after which a request is given up by its sender. */
const DEADLINE_MS = 400

/** The object store itself: linearizable, shared by all processes of all jobs. */
export class SimObjects {
  readonly #world: World
  readonly #objects = new Map<string, { readonly bytes: Uint8Array; readonly modifiedAt: number }>()
  events: ObjectEvents | undefined

  constructor(world: World) {
    this.#world = world
  }

  get size(): number {
    return this.#objects.size
  }

  create(key: string, bytes: Uint8Array): 'created' | 'exists' {
    if (this.#objects.has(key)) return 'exists'
    this.#objects.set(key, { bytes, modifiedAt: this.#world.clock.now() * STORE_MS_PER_MS })
    this.events?.onCreated(key, bytes)
    return 'created'
  }
  get(key: string): Uint8Array | undefined {
    return this.#objects.get(key)?.bytes
  }
  list(prefix: string): StoredObject[] {
    return [...this.#objects]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { bytes, modifiedAt }]) => ({ key, sizeBytes: bytes.byteLength, modifiedAt }))
  }
  delete(key: string): void {
    if (this.#objects.delete(key)) this.events?.onDeleted(key)
  }
}

/** How well processes reach the store. */
export class StoreWeather {
  readonly #world: World
  readonly #troubles = new Map<string, { readonly trouble: StoreTrouble; readonly until: number }>()
  /** Decides about single requests. */
  fateOf: (node: SimNode, operation: string, key: string, bytes?: Uint8Array) => RequestFate = () => 'normal'

  constructor(world: World) {
    this.#world = world
  }

  /** `who`: a process, or undefined for all. */
  set(who: SimNode | undefined, trouble: StoreTrouble, ms: number): void {
    this.#world.tell('store', `is ${trouble} for ${who?.name ?? 'everybody'} for ${ms} ms`)
    this.#troubles.set(who?.name ?? '', { trouble, until: this.#world.clock.monotonic() + ms })
  }

  of(node: SimNode): StoreTrouble | undefined {
    const now = this.#world.clock.monotonic()
    for (const name of ['', node.name]) {
      const found = this.#troubles.get(name)
      if (found !== undefined && found.until > now) return found.trouble
    }
    return undefined
  }

  heal(): void {
    this.#troubles.clear()
  }
}

/**
 * The store as one process reaches it below one root: requests and answers take time, get lost, and
 * a request given up by its sender may still be carried out later (G4).
 */
export class SimStore implements CheckpointStore {
  readonly url: string
  readonly #root: string
  readonly #node: SimNode
  readonly #objects: SimObjects
  readonly #weather: StoreWeather
  readonly #random: Random

  constructor(root: string, node: SimNode, objects: SimObjects, weather: StoreWeather) {
    this.#root = root
    this.url = `${SCHEME}${root}`
    this.#node = node
    this.#objects = objects
    this.#weather = weather
    this.#random = node.world.random.fork()
  }

  create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const copy = Uint8Array.from(bytes)
    return this.#call('create', key, () => this.#objects.create(joinKey(this.#root, key), copy), copy)
  }
  get(key: string): Promise<Uint8Array> {
    return this.#call('get', key, () => Uint8Array.from(this.#existing(key)))
  }
  getRange(key: string, start: number, end: number): Promise<Uint8Array> {
    return this.#call('get', key, () => this.#existing(key).slice(start, start < 0 ? undefined : end))
  }
  list(prefix: string, options: ListOptions = {}): Promise<StoredObject[]> {
    const { startAfter = '', limit = Infinity } = options
    return this.#call('list', prefix, () =>
      this.#objects
        .list(joinKey(this.#root, prefix))
        .map((o) => ({ ...o, key: o.key.slice(this.#root.length + 1) }))
        .filter((o) => o.key > startAfter)
        .slice(0, limit),
    )
  }
  delete(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return Promise.resolve()
    return this.#call('delete', keys[0] as string, () => {
      for (const key of keys) this.#objects.delete(joinKey(this.#root, key))
    })
  }
  close(): Promise<void> {
    return Promise.resolve()
  }

  #existing(key: string): Uint8Array {
    const bytes = this.#objects.get(joinKey(this.#root, key))
    if (bytes === undefined) throw missing(this.url, key)
    return bytes
  }

  #call<T>(operation: string, key: string, effect: () => T, bytes?: Uint8Array): Promise<T> {
    const { world, life } = this.#node
    const what = `${operation} ${keyUrl(this.url, key)}`
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const fate = this.#fate(operation, key, bytes)
    const heldMs = fate === 'held' ? this.#node.frozenMs : 0
    const deadline = world.clock.after(heldMs + DEADLINE_MS, () =>
      this.#node.deliver(life, () =>
        reject(new WeirError('STO_UNAVAILABLE', `Cannot ${what}: no answer within ${DEADLINE_MS} ms.`)),
      ),
    )
    const answer = (run: () => void): void => {
      world.clock.after(0.3 + this.#random.next() * 3, () => {
        deadline.cancel()
        this.#node.deliver(life, run)
      })
    }
    const refusal = this.#refusal(operation, what)
    if (refusal !== undefined) {
      answer(() => reject(refusal))
      return promise
    }
    if (fate === 'lost') return promise
    const fails = fate === 'failed' || fate === 'failedDone'
    const failure = (): void => reject(new WeirError('STO_UNAVAILABLE', `Cannot ${what}: 503, try again.`))
    const there = fate === 'late' ? this.#random.between(50, 1500) : 0.3 + this.#random.next() * 3
    world.clock.after(heldMs + there, () => {
      const settle = fate === 'failed' ? failure : this.#carryOut(effect, resolve, reject)
      if (fate === 'senderDies') this.#node.kill()
      else if (fate !== 'answerLost') answer(fails ? failure : settle)
    })
    return promise
  }

  #carryOut<T>(effect: () => T, resolve: (value: T) => void, reject: (error: unknown) => void): () => void {
    try {
      const result = effect()
      return () => resolve(result)
    } catch (error) {
      return () => reject(error)
    }
  }

  #refusal(operation: string, what: string): WeirError | undefined {
    const trouble = this.#weather.of(this.#node)
    if (trouble === 'denied')
      return new WeirError('STO_DENIED', `Cannot ${what}: the token has expired. Give valid credentials.`)
    if (trouble === 'full' && operation === 'create')
      return new WeirError('STO_UNAVAILABLE', `Cannot ${what}: no space left. Free space or raise the quota.`)
    return undefined
  }

  #fate(operation: string, key: string, bytes: Uint8Array | undefined): RequestFate {
    if (this.#weather.of(this.#node) === 'blocked') return 'lost'
    const fate = this.#weather.fateOf(this.#node, operation, key, bytes)
    if (fate !== 'normal' || !this.#node.world.faulty) return fate
    const draw = this.#random.next()
    return draw < 0.005 ? 'lost' : draw < 0.015 ? 'answerLost' : draw < 0.025 ? 'late' : 'normal'
  }
}

/** The stores of a process of the job whose files are below `root`. */
export function simStores(root: string, node: SimNode, objects: SimObjects, weather: StoreWeather): Stores {
  return {
    own: new SimStore(root, node, objects, weather),
    at: (url) => {
      if (!url.startsWith(SCHEME))
        throw new WeirError(
          'CFG_INVALID',
          `Not a storage URL: ${JSON.stringify(url)}. Expected ${SCHEME}key.`,
        )
      return new SimStore(url.slice(SCHEME.length), node, objects, weather)
    },
  }
}
