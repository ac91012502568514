import type { Clock, Timer } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { FromJobManager, FromTaskManager, SubtaskMetrics } from '#runtime/contract/rpc'
import type { TaskManagerView } from '#runtime/contract/rest'
import { VERSION, WIRE_VERSION } from '#runtime/contract/version'
import { decodeMessage, sendMessage } from '#runtime/net/messages'
import { tokenMatches } from '#runtime/net/token'
import type { Connection, ConnectionHandlers, Listener, Transport } from '#runtime/net/transport'

type Hello = Extract<FromTaskManager, { type: 'hello' }>

/** A connected TaskManager that said a valid hello. */
export interface RegisteredTaskManager {
  /** Unique for the connection. */
  readonly key: string
  readonly id: string
  readonly slots: number
  readonly dataAddress: string
  readonly address: string
  /** It said that it is going away: nothing new is placed on it. */
  readonly leaving: boolean
  readonly metrics: readonly SubtaskMetrics[]
  send(message: FromJobManager): void
}

export interface RegistryEvents {
  registered(taskManager: RegisteredTaskManager): void
  /** `silentMs`: since its last sign of life. */
  lost(taskManager: RegisteredTaskManager, why: string, silentMs: number): void
  received(taskManager: RegisteredTaskManager, message: Exclude<FromTaskManager, Hello>): void
}

export interface RegistryOptions {
  readonly host: string
  readonly port: number
  readonly token: string
  readonly jobUid: string
  readonly run: number
  readonly id: string
  readonly clock: Clock
  readonly logger: Logger
  readonly transport: Transport
  readonly timing?: RegistryTiming
}

export interface RegistryTiming {
  /** From a connection to its hello. */
  readonly helloMs: number
  /** Without any message, after which a TaskManager is lost. */
  readonly silenceMs: number
}

const TIMING: RegistryTiming = { helloMs: 10_000, silenceMs: 10_000 }

interface Entry extends RegisteredTaskManager {
  leaving: boolean
  metrics: readonly SubtaskMetrics[]
  freeSlots: number
  lastHeardMs: number
  readonly connection: Connection
}

/**
 * Accepts TaskManagers' control connections, for leaders and stand-bys alike; a stand-by keeps them
 * connected so that it can deploy at once when it leads. A TaskManager is lost when its connection
 * closes, or says nothing for 10 s.
 */
export class TaskManagerRegistry {
  readonly #options: RegistryOptions
  readonly #entries = new Map<string, Entry>()
  #listener: Listener | undefined
  #connections = 0
  /** Every one that was accepted and stands, also before its hello. */
  readonly #accepted = new Set<Connection>()
  readonly #timing: RegistryTiming
  #watch: Timer | undefined
  #events: RegistryEvents | undefined
  #leading = false
  #epoch = 0

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#timing = options.timing ?? TIMING
  }

  /** The port it listens on. @throws {WeirError} CFG_INVALID */
  async listen(): Promise<number> {
    const { host, port, transport } = this.#options
    this.#listener = await transport.listen({ host, port }, (connection) => this.#accept(connection))
    this.#watchHeartbeats()
    return this.#listener.port
  }

  /**
   * From now on events go to `events`, and TaskManagers know who leads. Those connected already are
   * announced at once.
   */
  lead(epoch: number, events: RegistryEvents): void {
    this.#leading = true
    this.#epoch = epoch
    this.#events = events
    for (const entry of this.#entries.values()) {
      this.#welcome(entry.connection)
      events.registered(entry)
    }
  }

  standBy(): void {
    this.#leading = false
    this.#events = undefined
  }

  get list(): readonly RegisteredTaskManager[] {
    return [...this.#entries.values()]
  }

  views(): TaskManagerView[] {
    const now = this.#options.clock.monotonic()
    return [...this.#entries.values()].map((e) => ({
      id: e.id,
      address: e.dataAddress,
      slots: e.slots,
      freeSlots: e.freeSlots,
      lastHeartbeatAgoMs: Math.round(now - e.lastHeardMs),
    }))
  }

  async close(): Promise<void> {
    this.#watch?.cancel()
    this.standBy()
    for (const connection of [...this.#accepted]) connection.close()
    await this.#listener?.close()
  }

  #accept(connection: Connection): ConnectionHandlers {
    const { clock, logger } = this.#options
    let entry: Entry | undefined
    const limit = clock.after(this.#timing.helloMs, () => connection.destroy())
    this.#accepted.add(connection)
    return {
      onFrame: (frame) => {
        try {
          const message = decodeMessage<FromTaskManager>(frame)
          if (message.type === 'hello') {
            limit.cancel()
            entry = this.#register(connection, message)
          } else if (entry !== undefined) this.#handle(entry, message)
        } catch (error) {
          logger.warn({ err: error, remote: connection.remote }, 'TaskManager refused')
          connection.destroy()
        }
      },
      onClose: (error) => {
        limit.cancel()
        this.#accepted.delete(connection)
        const why = error === undefined ? 'its connection closed' : `its connection failed: ${error.message}`
        if (entry !== undefined) this.#remove(entry, why)
      },
    }
  }

  #register(connection: Connection, hello: Hello): Entry {
    const { token, jobUid, run, clock, logger } = this.#options
    if (hello.wire !== WIRE_VERSION)
      throw new WeirError(
        'NET_REFUSED',
        `TaskManager ${hello.id} speaks wire version ${hello.wire} (Weir ${hello.version}), this JobManager ${WIRE_VERSION} (Weir ${VERSION})`,
      )
    if (hello.jobUid !== jobUid || !tokenMatches(token, hello.token))
      throw new WeirError(
        'NET_REFUSED',
        `TaskManager ${hello.id} belongs to another job or has another token`,
      )
    if (hello.run !== run)
      throw new WeirError(
        'NET_REFUSED',
        `TaskManager ${hello.id} is of run ${hello.run}, this JobManager of run ${run}`,
      )
    const old = this.#entries.get(hello.id)
    if (old !== undefined) {
      this.#remove(old, 'it connected again')
      old.connection.destroy()
    }
    const entry: Entry = {
      key: `${hello.id}#${++this.#connections}`,
      id: hello.id,
      slots: hello.slots,
      freeSlots: hello.slots,
      dataAddress: hello.dataAddress,
      address: connection.remote,
      leaving: false,
      metrics: [],
      lastHeardMs: clock.monotonic(),
      connection,
      send: (message) => sendMessage(connection, message),
    }
    this.#entries.set(hello.id, entry)
    this.#welcome(connection)
    logger.info(
      { taskManager: hello.id, slots: hello.slots, address: hello.dataAddress },
      'task manager registered',
    )
    this.#events?.registered(entry)
    return entry
  }

  #welcome(connection: Connection): void {
    sendMessage(connection, {
      type: 'welcome',
      leader: this.#leading,
      epoch: this.#epoch,
      id: this.#options.id,
    } satisfies FromJobManager)
  }

  #handle(entry: Entry, message: Exclude<FromTaskManager, Hello>): void {
    entry.lastHeardMs = this.#options.clock.monotonic()
    if (message.type === 'heartbeat') {
      entry.freeSlots = message.freeSlots
      entry.metrics = message.subtasks
    }
    if (message.type === 'leaving') entry.leaving = true
    this.#events?.received(entry, message)
  }

  #remove(entry: Entry, why: string): void {
    if (this.#entries.get(entry.id) !== entry) return
    this.#entries.delete(entry.id)
    this.#options.logger.warn({ taskManager: entry.id, why }, 'task manager lost')
    this.#events?.lost(entry, why, this.#options.clock.monotonic() - entry.lastHeardMs)
  }

  #watchHeartbeats(): void {
    const { clock } = this.#options
    this.#watch = clock.after(this.#timing.silenceMs / 10, () => {
      const now = clock.monotonic()
      for (const entry of this.#entries.values()) {
        if (now - entry.lastHeardMs <= this.#timing.silenceMs) continue
        this.#remove(entry, `it sent no heartbeat for ${this.#timing.silenceMs} ms`)
        entry.connection.destroy()
      }
      this.#watchHeartbeats()
    })
  }
}
