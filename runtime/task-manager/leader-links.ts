import { lookup } from 'node:dns/promises'
import { connect } from 'node:net'
import type { Clock, Timer } from '#runtime/base/clock'
import type { Logger } from '#runtime/base/logger'
import type { FromJobManager, FromTaskManager } from '#runtime/contract/rpc'
import { FrameSocket } from '#runtime/net/frame-socket'
import { decodeMessage, sendMessage } from '#runtime/net/messages'
import { splitAddress } from './data-plane.ts'

const RESOLVE_MS = 1000
const FIRST_RETRY_MS = 50
const MAX_RETRY_MS = 1000

export interface LinkHandlers {
  /** Said to each JobManager on connecting. */
  hello(): FromTaskManager
  onMessage(link: Link, message: FromJobManager): void
  onLost(link: Link): void
}

/** A control connection to one JobManager, dialled again whenever it is lost. */
export class Link {
  readonly address: string
  #socket: FrameSocket | undefined
  #retry: Timer | undefined
  #delayMs = FIRST_RETRY_MS
  #closed = false
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #handlers: LinkHandlers

  constructor(address: string, clock: Clock, logger: Logger, handlers: LinkHandlers) {
    this.address = address
    this.#clock = clock
    this.#logger = logger
    this.#handlers = handlers
  }

  open(): void {
    const [host, port] = splitAddress(this.address)
    const raw = connect({ host, port })
    const socket: FrameSocket = new FrameSocket(raw, {
      onFrame: (frame) => {
        this.#delayMs = FIRST_RETRY_MS
        try {
          this.#handlers.onMessage(this, decodeMessage<FromJobManager>(frame))
        } catch (error) {
          this.#logger.error({ err: error, jobManager: this.address }, 'message from the JobManager refused')
          socket.destroy()
        }
      },
      onClose: () => this.#lost(),
    })
    this.#socket = socket
    raw.once('connect', () => sendMessage(socket, this.#handlers.hello()))
  }

  get isUp(): boolean {
    return this.#socket !== undefined && !this.#socket.closed
  }

  /**
   * Dropped silently while the connection is down: the receiver of a dead connection has lost
   * interest.
   */
  send(message: FromTaskManager): void {
    if (this.#socket !== undefined && !this.#socket.closed) sendMessage(this.#socket, message)
  }

  close(): void {
    this.#closed = true
    this.#retry?.cancel()
    this.#socket?.close()
  }

  #lost(): void {
    this.#socket = undefined
    this.#handlers.onLost(this)
    if (this.#closed) return
    this.#retry = this.#clock.after(this.#delayMs, () => this.open())
    this.#delayMs = Math.min(MAX_RETRY_MS, this.#delayMs * 2)
  }
}

/**
 * Links to every JobManager. A host name stands for all its addresses and is resolved again every
 * second, so that replaced JobManagers are found and gone ones dropped.
 */
export class LeaderLinks {
  readonly #addresses: readonly string[]
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #handlers: LinkHandlers
  readonly #links = new Map<string, Link>()
  #timer: Timer | undefined
  #closed = false

  constructor(addresses: readonly string[], clock: Clock, logger: Logger, handlers: LinkHandlers) {
    this.#addresses = addresses
    this.#clock = clock
    this.#logger = logger
    this.#handlers = handlers
  }

  async open(): Promise<void> {
    await this.#resolve()
  }

  broadcast(message: FromTaskManager): void {
    for (const link of this.#links.values()) link.send(message)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    for (const link of this.#links.values()) link.close()
  }

  async #resolve(): Promise<void> {
    const wanted = new Set<string>()
    for (const address of this.#addresses) {
      const [host, port] = splitAddress(address)
      try {
        for (const { address: ip, family } of await lookup(host, { all: true }))
          wanted.add(family === 6 ? `[${ip}]:${port}` : `${ip}:${port}`)
      } catch (error) {
        this.#logger.debug({ err: error, host }, 'cannot resolve the JobManager')
      }
    }
    if (this.#closed) return
    // An empty answer says nothing about links that are up: DNS may be away.
    if (wanted.size > 0) {
      for (const [address, link] of this.#links) {
        if (wanted.has(address)) continue
        link.close()
        this.#links.delete(address)
      }
    }
    for (const address of wanted) {
      if (this.#links.has(address)) continue
      const link = new Link(address, this.#clock, this.#logger, this.#handlers)
      this.#links.set(address, link)
      link.open()
    }
    this.#timer = this.#clock.after(RESOLVE_MS, () => void this.#resolve())
  }
}
