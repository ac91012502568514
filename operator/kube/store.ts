import type { KubeObject } from '#operator/resources/object'

/** `<namespace>/<name>` of an object. */
export type Key = `${string}/${string}`
export const keyOf = (namespace: string, name: string): Key => `${namespace}/${name}`
export function splitKey(key: Key): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/')
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}
/** A place of a key in [0, 1), always the same: spreads work over a time (FNV-1a). */
export function placeOf(key: Key): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  // The low bits differ most between keys that end alike.
  return ((hash ^ (hash >>> 15)) & 0xffff) / 0x10000
}
export const keyOfObject = (object: KubeObject): Key =>
  keyOf(object.metadata.namespace ?? '', object.metadata.name)

export type Listener<T> = (key: Key, object: T, previous: T | undefined) => void

/**
 * The last known state of one kind, filled by reflectors. What a reconciler does depends on the
 * state that it reads, never on the event that woke it. Objects are shared; nobody changes them.
 *
 * I1 An object never goes back to an older version: what a watch says later than the answer to an
 *    own write, of the time before it, changes nothing. Versions grow over all objects of a kind,
 *    also over one that is deleted and created again with the same name.
 * I2 An own write never brings back an object that has gone.
 */
export class Store<T extends KubeObject> {
  readonly #objects = new Map<Key, T>()
  /** Keys of the objects by what `indexBy` gave for them. */
  readonly #index = new Map<Key, Set<Key>>()
  readonly #indexBy: (object: T) => readonly Key[]
  readonly #listeners: Listener<T>[] = []

  constructor(indexBy: (object: T) => readonly Key[] = () => []) {
    this.#indexBy = indexBy
  }

  get size(): number {
    return this.#objects.size
  }

  get(namespace: string, name: string): T | undefined {
    return this.#objects.get(keyOf(namespace, name))
  }

  values(): Iterable<T> {
    return this.#objects.values()
  }

  keys(): Iterable<Key> {
    return this.#objects.keys()
  }

  /** Objects for which `indexBy` gave `by`. */
  indexed(by: Key): T[] {
    return [...(this.#index.get(by) ?? [])].flatMap((key) => this.#objects.get(key) ?? [])
  }

  /**
   * Called after each change, also for a removal (with the last known object). A listener only
   * enqueues and must not throw.
   */
  onChange(listener: Listener<T>): void {
    this.#listeners.push(listener)
  }

  /** An object as a list or a watch shows it. */
  put(object: T): void {
    const key = keyOfObject(object)
    const previous = this.#objects.get(key)
    if (previous !== undefined && !isNewer(object, previous)) return
    if (previous !== undefined) this.#unindex(key, previous)
    this.#objects.set(key, object)
    for (const by of this.#indexBy(object)) {
      const keys = this.#index.get(by)
      if (keys === undefined) this.#index.set(by, new Set([key]))
      else keys.add(key)
    }
    this.#notify(key, object, previous)
  }

  /** An object as an own write left it: the watch brings it too, but later. */
  update(object: T): void {
    const known = this.#objects.get(keyOfObject(object))
    if (known?.metadata.uid === object.metadata.uid) this.put(object)
  }

  /** An object that a watch shows for the last time. */
  remove(object: T): void {
    const key = keyOfObject(object)
    const known = this.#objects.get(key)
    if (known === undefined || isNewer(known, object)) return
    this.#drop(key, known)
  }

  #drop(key: Key, object: T): void {
    this.#objects.delete(key)
    this.#unindex(key, object)
    this.#notify(key, object, object)
  }

  /**
   * Makes the store equal to a complete list of a namespace, or of all: what is not in the list has
   * gone.
   */
  replace(objects: readonly T[], namespace: string | undefined): void {
    const present = new Set(objects.map(keyOfObject))
    for (const [key, object] of this.#objects)
      if ((namespace === undefined || object.metadata.namespace === namespace) && !present.has(key))
        this.#drop(key, object)
    for (const object of objects) this.put(object)
  }

  #unindex(key: Key, object: T): void {
    for (const by of this.#indexBy(object)) {
      const keys = this.#index.get(by)
      keys?.delete(key)
      if (keys?.size === 0) this.#index.delete(by)
    }
  }

  #notify(key: Key, object: T, previous: T | undefined): void {
    for (const listener of this.#listeners) listener(key, object, previous)
  }
}

/**
 * Whether `one` is a later version than `other`. Versions are whole numbers that grow (Kubernetes
 * since 1.35 by contract, KEP-5504, and before it in fact); whatever else they are is taken for
 * later, as a server that does so sends them in order.
 */
function isNewer(one: KubeObject, other: KubeObject): boolean {
  const [a = '', b = ''] = [one.metadata.resourceVersion, other.metadata.resourceVersion]
  if (a === b && one.metadata.uid === other.metadata.uid) return false
  return WHOLE.test(a) && WHOLE.test(b) ? BigInt(a) > BigInt(b) : true
}

const WHOLE = /^[0-9]+$/
