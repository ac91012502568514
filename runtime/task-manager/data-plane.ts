/**
 * Connections between TaskManagers: each dials every peer once per attempt, and sends on what it
 * dialled. A connection opens with (job, attempt, token); one of an attempt that is not this
 * process's current one waits for it to be deployed here, for a limited time, and is closed if it
 * never is: so nothing of a dead attempt can reach a live one.
 */
import * as z from 'zod'
import type { Clock, Timer } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { attemptId, type AttemptId } from '#runtime/contract/ids'
import { WIRE_VERSION } from '#runtime/contract/version'
import { tokenMatches } from '#runtime/net/token'
import type { Connection, ConnectionHandlers, Listener, Transport } from '#runtime/net/transport'
import type { ExchangeParcel } from '#runtime/task/slot-messages'
import { decodeParcel, encodeParcel } from './parcel-codec.ts'

/** The first frame of a data connection, as JSON. */
const greeting = z.object({
  wire: z.int(),
  jobUid: z.string(),
  token: z.string(),
  attempt: attemptId,
  from: z.string(),
})
type Greeting = z.infer<typeof greeting>

export interface DataPlaneOptions {
  readonly id: string
  readonly jobUid: string
  readonly token: string
  readonly host: string
  readonly port: number
  readonly transport: Transport
  readonly clock: Clock
  readonly logger: Logger
}

/** What an execution hears from its data connections. */
export interface DataPlaneHandlers {
  onParcel(slot: number, parcel: ExchangeParcel, buffer: ArrayBuffer): void
  onLost(peer: string, error: Error | undefined): void
}

/** A peer that connects greets at once; probes connect and go. */
const HELLO_LIMIT_MS = 10_000
/** A peer of an attempt that is still being deployed here waits no longer. */
const DEPLOY_LIMIT_MS = 30_000

export class DataPlane {
  readonly #options: DataPlaneOptions
  #listener: Listener | undefined
  #attempt: AttemptId | undefined
  #handlers: DataPlaneHandlers | undefined
  readonly #outgoing = new Map<string, Connection>()
  /** Accepted connections that have not greeted yet. */
  readonly #silent = new Set<Connection>()
  readonly #incoming = new Map<Connection, string>()
  readonly #waiting = new Map<Connection, { readonly from: Greeting; readonly limit: Timer }>()

  constructor(options: DataPlaneOptions) {
    this.#options = options
  }

  /** The port it listens on. @throws {WeirError} CFG_INVALID */
  async listen(): Promise<number> {
    const { host, port, transport } = this.#options
    this.#listener = await transport.listen({ host, port }, (connection) => this.#accept(connection))
    return this.#listener.port
  }

  /**
   * Makes `attempt` the current one, dials `peers` (address by id) and resolves when all have
   * accepted. @throws {WeirError} NET_LOST naming the peer.
   */
  async open(
    attempt: AttemptId,
    peers: ReadonlyMap<string, string>,
    handlers: DataPlaneHandlers,
  ): Promise<void> {
    this.closeAttempt()
    this.#attempt = attempt
    this.#handlers = handlers
    for (const [connection, { from, limit }] of this.#waiting) {
      if (from.attempt !== attempt) continue
      limit.cancel()
      this.#waiting.delete(connection)
      this.#admit(connection, from)
    }
    await Promise.all([...peers].map(([id, address]) => this.#dial(attempt, id, address)))
  }

  send(peer: string, slot: number, parcel: ExchangeParcel): void {
    this.#outgoing.get(peer)?.send(...encodeParcel(slot, parcel))
  }

  closeAttempt(): void {
    this.#attempt = undefined
    this.#handlers = undefined
    for (const connection of [...this.#outgoing.values(), ...this.#incoming.keys()]) connection.destroy()
    this.#outgoing.clear()
    this.#incoming.clear()
  }

  async close(): Promise<void> {
    this.closeAttempt()
    for (const connection of [...this.#silent, ...this.#waiting.keys()]) connection.destroy()
    await this.#listener?.close()
  }

  #dial(attempt: AttemptId, id: string, address: string): Promise<void> {
    const { jobUid, token, id: from, transport } = this.#options
    return new Promise((resolve, reject) => {
      let accepted = false
      const hello: Greeting = { wire: WIRE_VERSION, jobUid, token, attempt, from }
      const connection = transport.connect(address, {
        onOpen: () => connection.send(Buffer.from(JSON.stringify(hello))),
        onFrame: () => {
          accepted = true
          resolve()
        },
        onClose: (error) => {
          if (!accepted) return reject(notAccepted(id, address, attempt, error))
          if (this.#attempt === attempt && this.#outgoing.get(id) === connection)
            this.#handlers?.onLost(id, error)
        },
      })
      this.#outgoing.set(id, connection)
    })
  }

  #accept(connection: Connection): ConnectionHandlers {
    const limit = this.#options.clock.after(HELLO_LIMIT_MS, () => connection.destroy())
    this.#silent.add(connection)
    return {
      onFrame: (frame) => {
        limit.cancel()
        this.#take(connection, frame)
      },
      onClose: (error) => {
        limit.cancel()
        this.#lost(connection, error)
      },
    }
  }

  #take(connection: Connection, frame: Uint8Array<ArrayBuffer>): void {
    try {
      if (this.#silent.delete(connection)) return this.#greeted(connection, parseGreeting(frame))
      if (!this.#incoming.has(connection))
        throw new WeirError('NET_REFUSED', `Peer ${connection.remote} went on before it was accepted`)
      const { slot, parcel } = decodeParcel(frame)
      this.#handlers?.onParcel(slot, parcel, frame.buffer)
    } catch (error) {
      this.#options.logger.warn({ err: error, remote: connection.remote }, 'data connection refused')
      connection.destroy()
    }
  }

  #lost(connection: Connection, error: Error | undefined): void {
    this.#silent.delete(connection)
    this.#waiting.get(connection)?.limit.cancel()
    this.#waiting.delete(connection)
    const peer = this.#incoming.get(connection)
    this.#incoming.delete(connection)
    if (peer !== undefined) this.#handlers?.onLost(peer, error)
  }

  #greeted(connection: Connection, from: Greeting): void {
    const { jobUid, token } = this.#options
    if (from.wire !== WIRE_VERSION)
      throw new WeirError(
        'NET_REFUSED',
        `Peer speaks wire version ${from.wire}, this process ${WIRE_VERSION}`,
      )
    if (from.jobUid !== jobUid || !tokenMatches(token, from.token))
      throw new WeirError(
        'NET_REFUSED',
        `Peer ${connection.remote} belongs to another job or has another token`,
      )
    if (from.attempt === this.#attempt) return this.#admit(connection, from)
    const limit = this.#options.clock.after(DEPLOY_LIMIT_MS, () => connection.destroy())
    this.#waiting.set(connection, { from, limit })
  }

  #admit(connection: Connection, { from }: Greeting): void {
    this.#incoming.set(connection, from)
    connection.send(Buffer.from('ok'))
  }
}

function parseGreeting(frame: Uint8Array): Greeting {
  try {
    return greeting.parse(JSON.parse(Buffer.from(frame).toString('utf8')))
  } catch (cause) {
    throw new WeirError('NET_REFUSED', 'The first frame of a data connection is not a greeting', { cause })
  }
}

function notAccepted(id: string, address: string, attempt: AttemptId, error: Error | undefined): WeirError {
  const why = error?.message ?? 'closed'
  return new WeirError(
    'NET_LOST',
    `TaskManager ${id} at ${address} did not accept the data connection of attempt ${attempt}: ${why}`,
  )
}
