/**
 * Keeps a store equal to the API server: list (in pages), then watch from the list's version on.
 *
 * I1 A stream that ends or breaks is opened again at the last version seen, which bookmarks keep
 *    fresh; nothing is listed again for it.
 * I2 410 Gone, in a response or in the stream, leads to a new list; the store keeps its objects
 *    meanwhile.
 * I3 A stream without a byte for `idleMs` is taken for dead (the server sends bookmarks about every
 *    minute) and opened again.
 * I4 Failures back off with jitter; the first success resets the delay. `run` returns only when the
 *    signal aborts.
 */
import { member } from '#runtime/base/member'
import { type BackoffOptions, backoffDelay } from '#runtime/base/backoff'
import { type Clock, sleep } from '#runtime/base/clock'
import type { Logger } from '#runtime/base/logger'
import { watchdog } from '#runtime/base/watchdog'
import type { KubeObject } from '#operator/resources/object'
import type { KubeClient, WatchEvent } from './client.ts'
import { errorOf, isGone } from './errors.ts'
import type { Resource } from './resource.ts'
import { trim } from './trim.ts'
import type { Store } from './store.ts'

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: KubeClient
  readonly resource: Resource
  readonly store: Store<T>
  /** Undefined: all namespaces. */
  readonly namespace?: string | undefined
  readonly labelSelector?: string
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly pageSize?: number
  readonly idleMs?: number
  readonly backoff?: BackoffOptions
}

const BACKOFF: BackoffOptions = { initialMs: 500, maxMs: 30_000, multiplier: 2, jitter: 0.3 }
/** A stream that lived this long was healthy even if nothing happened on it. */
const HEALTHY_STREAM_MS = 5000

export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>
  readonly #synced = Promise.withResolvers<void>()
  #version: string | undefined
  #lastContact: number
  #failures = 0

  constructor(options: ReflectorOptions<T>) {
    this.#options = options
    this.#lastContact = options.clock.monotonic()
  }

  /** Resolves after the first complete list. */
  get synced(): Promise<void> {
    return this.#synced.promise
  }

  /** Milliseconds since the API server last answered or sent anything. */
  contactAgeMs(): number {
    return this.#options.clock.monotonic() - this.#lastContact
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, resource } = this.#options
    while (!signal.aborted) {
      const startedAt = clock.monotonic()
      try {
        this.#version ??= await this.#list(signal)
        const events = await this.#watch(this.#version, signal)
        if (events > 0 || clock.monotonic() - startedAt >= HEALTHY_STREAM_MS) this.#failures = 0
        else await this.#pause(signal)
      } catch (error) {
        if (signal.aborted) return
        if (isGone(error)) {
          this.#version = undefined
          logger.debug({ kind: resource.kind }, 'watch too old, listing again')
        } else {
          logger.warn(
            { kind: resource.kind, err: error, failures: this.#failures },
            'watch failed, opening another',
          )
        }
        // The first time at once: a server that restarts, or an old version, needs no wait.
        if (this.#failures++ > 0) await this.#pause(signal)
      }
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { clock, random, backoff = BACKOFF } = this.#options
    this.#failures = Math.max(1, this.#failures)
    await sleep(clock, backoffDelay(backoff, this.#failures, random()), signal).catch(() => undefined)
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { client, resource, namespace, labelSelector, store, pageSize = 500 } = this.#options
    const objects: T[] = []
    let next: string | undefined
    for (;;) {
      const page = await client.list<T>(resource, {
        namespace,
        labelSelector,
        limit: pageSize,
        continue: next,
        signal,
      })
      this.#touch()
      objects.push(
        ...page.items.map((item) => trim({ ...item, apiVersion: resource.apiVersion, kind: resource.kind })),
      )
      next = page.metadata.continue === '' ? undefined : page.metadata.continue
      if (next !== undefined) continue
      store.replace(objects, namespace)
      this.#synced.resolve()
      return page.metadata.resourceVersion
    }
  }

  /**
   * Resolves with the number of events when the stream ends as it should; throws when it breaks.
   */
  async #watch(resourceVersion: string, signal: AbortSignal): Promise<number> {
    const { client, resource, namespace, labelSelector, clock, random, idleMs = 150_000 } = this.#options
    const silence = watchdog(clock, idleMs, 'no event or bookmark')
    this.#touch()
    let count = 0
    try {
      const events = client.watch<T>(resource, {
        namespace,
        labelSelector,
        resourceVersion,
        timeoutSeconds: Math.round(300 + 300 * random()),
        signal: AbortSignal.any([signal, silence.signal]),
      })
      for await (const event of events) {
        silence.touch()
        this.#touch()
        this.#take(event)
        this.#failures = 0
        count++
      }
      return count
    } finally {
      silence.cancel()
    }
  }

  #take(event: WatchEvent<T>): void {
    const { resource, store } = this.#options
    if (event.type === 'ERROR') {
      const code = Number(member(event.object, 'code') ?? 0)
      const target = { request: `watch of ${resource.plural}`, kind: resource.kind }
      throw errorOf(target, code, JSON.stringify(event.object))
    }
    this.#version = event.object.metadata.resourceVersion ?? this.#version
    if (event.type === 'DELETED') store.remove(event.object)
    else if (event.type !== 'BOOKMARK') store.put(trim(event.object))
  }

  #touch(): void {
    this.#lastContact = this.#options.clock.monotonic()
  }
}
