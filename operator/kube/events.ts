/**
 * Events on StreamJobs and Savepoints. They are a courtesy: posting never waits, never fails a
 * reconcile (a terminating namespace answers 403), and equal events within the window are one
 * object whose count grows.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '#runtime/base/clock'
import type { Logger } from '#runtime/base/logger'
import type { Reason } from '#operator/api/conditions'
import { MANAGER } from '#operator/resources/labels'
import type { KubeObject } from '#operator/resources/object'
import type { KubeClient } from './client.ts'
import { isNotFound } from './errors.ts'
import { RESOURCES } from './resource.ts'

export interface EventRecorder {
  emit(object: KubeObject, type: 'Normal' | 'Warning', reason: Reason, message: string): void
}

interface Known {
  readonly name: string
  count: number
  readonly firstAt: number
  lastAt: number
}

interface Entry {
  readonly object: KubeObject
  readonly type: 'Normal' | 'Warning'
  readonly reason: Reason
  readonly message: string
  readonly at: number
}

const WINDOW_MS = 600_000
const QUEUE_LIMIT = 1000
const KNOWN_LIMIT = 4096
const MESSAGE_LIMIT = 1000

export class KubeEventRecorder implements EventRecorder {
  readonly #client: KubeClient
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #identity: string
  readonly #known = new Map<string, Known>()
  readonly #queue: Entry[] = []
  #draining: Promise<void> | undefined

  constructor(options: { client: KubeClient; clock: Clock; logger: Logger; identity: string }) {
    this.#client = options.client
    this.#clock = options.clock
    this.#logger = options.logger
    this.#identity = options.identity
  }

  emit(object: KubeObject, type: 'Normal' | 'Warning', reason: Reason, message: string): void {
    if (this.#queue.length >= QUEUE_LIMIT) return
    this.#queue.push({
      object,
      type,
      reason,
      message: message.slice(0, MESSAGE_LIMIT),
      at: this.#clock.now(),
    })
    this.#draining ??= this.#drain().finally(() => (this.#draining = undefined))
  }

  /** Resolves when everything emitted so far was posted or given up. */
  async flush(): Promise<void> {
    await this.#draining
  }

  async #drain(): Promise<void> {
    for (let entry = this.#queue.shift(); entry !== undefined; entry = this.#queue.shift()) {
      try {
        await this.#post(entry)
      } catch (error) {
        this.#logger.debug({ err: error, reason: entry.reason }, 'event not posted')
      }
    }
  }

  async #post(entry: Entry): Promise<void> {
    const { object, reason, message, type, at } = entry
    const namespace = object.metadata.namespace ?? 'default'
    const key = createHash('sha256')
      .update([object.metadata.uid, type, reason, message].join('\0'))
      .digest('hex')
    const known = this.#known.get(key)
    if (known !== undefined && at - known.lastAt < WINDOW_MS) {
      known.count++
      known.lastAt = at
      const patch = { count: known.count, lastTimestamp: new Date(at).toISOString() }
      try {
        await this.#client.mergePatch(RESOURCES.Event, { namespace, name: known.name }, patch)
        return
      } catch (error) {
        // The server forgets events after an hour; then it is a new one.
        if (!isNotFound(error)) throw error
      }
    }
    const time = new Date(at).toISOString()
    const name = `${object.metadata.name.slice(0, 200)}.${key.slice(0, 8)}${at.toString(16)}`
    await this.#client.create({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: {
        apiVersion: object.apiVersion,
        kind: object.kind,
        name: object.metadata.name,
        namespace,
        uid: object.metadata.uid,
        resourceVersion: object.metadata.resourceVersion,
      },
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: time,
      lastTimestamp: time,
      source: { component: MANAGER, host: this.#identity },
      reportingComponent: 'weir.dev/operator',
      reportingInstance: this.#identity,
    })
    if (this.#known.size >= KNOWN_LIMIT) this.#known.clear()
    this.#known.set(key, { name, count: 1, firstAt: at, lastAt: at })
  }
}
