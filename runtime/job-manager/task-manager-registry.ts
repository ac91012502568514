/**
 * Accepts TaskManagers' control connections, for leaders and standbys alike; a standby keeps them
 * connected so that it can deploy at once when it leads. A TaskManager is lost when its connection
 * closes, when it connects again, or when it says nothing for 10 s.
 */
import type { Clock, Timer } from '#runtime/base/clock'
import { messageOf, WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { Epoch, RunNumber } from '#runtime/contract/ids'
import type { FromJobManager, FromTaskManager, SubtaskMetrics } from '#runtime/contract/rpc'
import type { TaskManagerView, WaitView } from '#runtime/contract/rest'
import { VERSION, WIRE_VERSION } from '#runtime/contract/version'
import { decodeFromTaskManager, sendMessage } from '#runtime/net/messages'
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
  /** It said that it is going away: nothing new is placed on it. */
  readonly leaving: boolean
  readonly metrics: readonly SubtaskMetrics[]
  /** What does not go on there. */
  readonly waits: readonly WaitView[]
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
  readonly run: RunNumber
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
  waits: readonly WaitView[]
  freeSlots: number
  lastHeardMs: number
  readonly connection: Connection
}

export class TaskManagerRegistry {
  readonly #options: RegistryOptions
  readonly #entries = new Map<string, Entry>()
  /** Accepted connections that have not said hello yet. */
  readonly #silent = new Set<Connection>()
  #listener: Listener | undefined
  #connections = 0
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
  lead(epoch: Epoch, events: RegistryEvents): void {
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
    for (const connection of this.#silent) connection.destroy()
    for (const entry of this.#entries.values()) entry.connection.close()
    await this.#listener?.close()
  }

  #accept(connection: Connection): ConnectionHandlers {
    const { clock, logger } = this.#options
    let entry: Entry | undefined
    const limit = clock.after(this.#timing.helloMs, () => connection.destroy())
    this.#silent.add(connection)
    return {
      onFrame: (frame) => {
        try {
          const message = decodeFromTaskManager(frame)
          if (entry === undefined) entry = this.#register(connection, message)
          else this.#handle(entry, message)
          limit.cancel()
        } catch (error) {
          logger.error({ err: error, remote: connection.remote, taskManager: entry?.id }, 'message refused')
          if (entry !== undefined) this.#remove(entry, messageOf(error))
          connection.destroy()
        }
      },
      onClose: (error) => {
        limit.cancel()
        this.#silent.delete(connection)
        const why = error === undefined ? 'its connection closed' : `its connection failed: ${error.message}`
        if (entry !== undefined) this.#remove(entry, why)
      },
    }
  }

  #register(connection: Connection, message: FromTaskManager): Entry {
    const { clock, logger } = this.#options
    const { id, slots, dataAddress } = this.#admit(message)
    this.#silent.delete(connection)
    const old = this.#entries.get(id)
    if (old !== undefined) {
      this.#remove(old, 'it connected again')
      old.connection.destroy()
    }
    const entry: Entry = {
      key: `${id}#${++this.#connections}`,
      id,
      slots,
      freeSlots: slots,
      dataAddress,
      leaving: false,
      metrics: [],
      waits: [],
      lastHeardMs: clock.monotonic(),
      connection,
      send: (command) => sendMessage(connection, command),
    }
    this.#entries.set(id, entry)
    this.#welcome(connection)
    logger.info({ taskManager: id, slots, address: dataAddress }, 'task manager registered')
    this.#events?.registered(entry)
    return entry
  }

  /** @throws {WeirError} NET_REFUSED unless it is the hello of a TaskManager of this run. */
  #admit(message: FromTaskManager): Hello {
    const { token, jobUid, run } = this.#options
    if (message.type !== 'hello') throw refused(`A TaskManager said ${message.type} before hello`)
    const { id, wire, version } = message
    if (wire !== WIRE_VERSION)
      throw refused(
        `TaskManager ${id} speaks wire version ${wire} (Weir ${version}), ` +
          `this JobManager ${WIRE_VERSION} (Weir ${VERSION})`,
      )
    if (message.jobUid !== jobUid || !tokenMatches(token, message.token))
      throw refused(`TaskManager ${id} belongs to another job or has another token`)
    if (message.run !== run)
      throw refused(`TaskManager ${id} is of run ${message.run}, this JobManager of run ${run}`)
    return message
  }

  #welcome(connection: Connection): void {
    sendMessage(connection, {
      type: 'welcome',
      leader: this.#leading,
      epoch: this.#epoch,
      id: this.#options.id,
    } satisfies FromJobManager)
  }

  #handle(entry: Entry, message: FromTaskManager): void {
    if (message.type === 'hello') throw refused(`TaskManager ${entry.id} said hello twice`)
    entry.lastHeardMs = this.#options.clock.monotonic()
    if (message.type === 'heartbeat') {
      entry.freeSlots = message.freeSlots
      entry.metrics = message.subtasks
      const now = this.#options.clock.now()
      entry.waits = message.standstills.map(({ kind, forMs, message: text }) => ({
        kind,
        since: now - forMs,
        message: text,
      }))
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

const refused = (text: string): WeirError => new WeirError('NET_REFUSED', text)
