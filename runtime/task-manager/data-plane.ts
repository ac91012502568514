import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { systemClock, type Timer } from '#runtime/base/clock'
import { WeirError, messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { WIRE_VERSION } from '#runtime/contract/version'
import { FrameSocket } from '#runtime/net/frame-socket'
import { tokenMatches } from '#runtime/net/token'
import type { ExchangeParcel } from '#runtime/task/slot-messages'
import { decodeParcel, encodeParcel } from './parcel-codec.ts'

interface Hello {
  readonly wire: number
  readonly jobUid: string
  readonly token: string
  readonly attempt: string
  readonly from: string
}

export interface DataPlaneOptions {
  readonly id: string
  readonly jobUid: string
  readonly token: string
  readonly host: string
  readonly port: number
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

/**
 * Connections between TaskManagers: each dials every peer once per attempt, and sends on what it
 * dialled. A connection opens with (job, attempt, token); one of an attempt that is not this
 * process's current one waits for it to be deployed here, for a limited time, and is closed if it
 * never is: so nothing of a dead attempt can reach a live one.
 */
export class DataPlane {
  readonly #options: DataPlaneOptions
  #server: Server | undefined
  #attempt: string | undefined
  #handlers: DataPlaneHandlers | undefined
  readonly #outgoing = new Map<string, FrameSocket>()
  readonly #incoming = new Map<FrameSocket, string>()
  readonly #waiting = new Map<FrameSocket, { readonly hello: Hello; readonly limit: Timer }>()

  constructor(options: DataPlaneOptions) {
    this.#options = options
  }

  /** The port it listens on. */
  async listen(): Promise<number> {
    const server = createServer((raw) => this.#accept(raw))
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(
          new WeirError(
            'CFG_INVALID',
            `Cannot listen for data on ${this.#options.host}:${this.#options.port}: ${messageOf(error)}`,
            {
              cause: error,
            },
          ),
        ),
      )
      server.listen(this.#options.port, this.#options.host, resolve)
    })
    return (server.address() as AddressInfo).port
  }

  /**
   * Makes `attempt` the current one, dials `peers` (address by id) and resolves when all have
   * accepted. @throws {WeirError} NET_LOST naming the peer.
   */
  async open(
    attempt: string,
    peers: ReadonlyMap<string, string>,
    handlers: DataPlaneHandlers,
  ): Promise<void> {
    this.closeAttempt()
    this.#attempt = attempt
    this.#handlers = handlers
    for (const [socket, { hello, limit }] of this.#waiting) {
      if (hello.attempt !== attempt) continue
      limit.cancel()
      this.#waiting.delete(socket)
      this.#admit(socket, hello)
    }
    await Promise.all([...peers].map(([id, address]) => this.#dial(attempt, id, address)))
  }

  send(peer: string, slot: number, parcel: ExchangeParcel): void {
    this.#outgoing.get(peer)?.send(...encodeParcel(slot, parcel))
  }

  closeAttempt(): void {
    this.#attempt = undefined
    this.#handlers = undefined
    for (const socket of [...this.#outgoing.values(), ...this.#incoming.keys()]) socket.destroy()
    this.#outgoing.clear()
    this.#incoming.clear()
  }

  async close(): Promise<void> {
    this.closeAttempt()
    for (const [socket, { limit }] of this.#waiting) {
      limit.cancel()
      socket.destroy()
    }
    const server = this.#server
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()))
  }

  #dial(attempt: string, id: string, address: string): Promise<void> {
    const [host, port] = splitAddress(address)
    return new Promise((resolve, reject) => {
      let accepted = false
      const raw = connect({ host, port })
      const socket: FrameSocket = new FrameSocket(raw, {
        onFrame: () => {
          accepted = true
          resolve()
        },
        onClose: (error) => {
          if (!accepted)
            return reject(
              new WeirError(
                'NET_LOST',
                `TaskManager ${id} at ${address} did not accept the data connection of attempt ${attempt}: ${error?.message ?? 'closed'}`,
              ),
            )
          if (this.#attempt === attempt && this.#outgoing.get(id) === socket)
            this.#handlers?.onLost(id, error)
        },
      })
      this.#outgoing.set(id, socket)
      const { jobUid, token, id: from } = this.#options
      raw.once('connect', () =>
        socket.send(
          Buffer.from(JSON.stringify({ wire: WIRE_VERSION, jobUid, token, attempt, from } satisfies Hello)),
        ),
      )
    })
  }

  #accept(raw: Socket): void {
    const limit = systemClock.after(HELLO_LIMIT_MS, () => raw.destroy())
    const socket: FrameSocket = new FrameSocket(raw, {
      onFrame: (frame) => {
        limit.cancel()
        this.#take(socket, frame)
      },
      onClose: (error) => {
        limit.cancel()
        this.#lost(socket, error)
      },
    })
  }

  #take(socket: FrameSocket, frame: Uint8Array<ArrayBuffer>): void {
    try {
      if (!this.#incoming.has(socket)) return this.#hello(socket, parseHello(frame))
      const { slot, parcel } = decodeParcel(frame)
      this.#handlers?.onParcel(slot, parcel, frame.buffer)
    } catch (error) {
      this.#options.logger.warn({ err: error, remote: socket.remote }, 'data connection refused')
      socket.destroy()
    }
  }

  #lost(socket: FrameSocket, error: Error | undefined): void {
    this.#waiting.get(socket)?.limit.cancel()
    this.#waiting.delete(socket)
    const peer = this.#incoming.get(socket)
    this.#incoming.delete(socket)
    if (peer !== undefined) this.#handlers?.onLost(peer, error)
  }

  #hello(socket: FrameSocket, hello: Hello): void {
    const { jobUid, token } = this.#options
    if (hello.wire !== WIRE_VERSION)
      throw new WeirError(
        'NET_REFUSED',
        `Peer speaks wire version ${hello.wire}, this process ${WIRE_VERSION}`,
      )
    if (hello.jobUid !== jobUid || !tokenMatches(token, hello.token))
      throw new WeirError('NET_REFUSED', `Peer ${socket.remote} belongs to another job or has another token`)
    if (hello.attempt === this.#attempt) return this.#admit(socket, hello)
    const limit = systemClock.after(DEPLOY_LIMIT_MS, () => socket.destroy())
    this.#waiting.set(socket, { hello, limit })
  }

  #admit(socket: FrameSocket, hello: Hello): void {
    this.#incoming.set(socket, hello.from)
    socket.send(Buffer.from('ok'))
  }
}

function parseHello(frame: Uint8Array): Hello {
  if (frame.length > 4096)
    throw new WeirError('NET_REFUSED', 'The first frame of a data connection is too long to be a greeting')
  try {
    return JSON.parse(Buffer.from(frame).toString('utf8')) as Hello
  } catch (cause) {
    throw new WeirError('NET_REFUSED', 'The first frame of a data connection is not a greeting', { cause })
  }
}

/** "host:port" or "[v6]:port". @throws {WeirError} CFG_INVALID */
export function splitAddress(address: string): [host: string, port: number] {
  const match = /^\[?([^\]]+?)\]?:([0-9]+)$/.exec(address)
  if (match === null)
    throw new WeirError('CFG_INVALID', `Not an address: ${JSON.stringify(address)}. Expected host:port.`)
  return [match[1] as string, Number(match[2])]
}
