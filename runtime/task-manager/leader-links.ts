import type { Clock, Timer } from '#runtime/base/clock'
import type { Logger } from '#runtime/base/logger'
import type { FromJobManager, FromTaskManager } from '#runtime/contract/rpc'
import { decodeFromJobManager, sendMessage } from '#runtime/net/messages'
import type { Connection, Transport } from '#runtime/net/transport'

const RESOLVE_MS = 1000
const FIRST_RETRY_MS = 50
const MAX_RETRY_MS = 1000

export interface LinkOptions {
  readonly transport: Transport
  readonly clock: Clock
  readonly logger: Logger
  /** Said to each JobManager on connecting. */
  hello(): FromTaskManager
  onMessage(link: Link, message: FromJobManager): void
  /** A connection that stood is gone; dials that fail are not told. */
  onLost(link: Link): void
}

/** A control connection to one JobManager, dialled again whenever it is lost. */
export class Link {
  readonly address: string
  readonly #options: LinkOptions
  #connection: Connection | undefined
  #isUp = false
  #retry: Timer | undefined
  #delayMs = FIRST_RETRY_MS
  #closed = false

  constructor(address: string, options: LinkOptions) {
    this.address = address
    this.#options = options
  }

  open(): void {
    const { transport, logger, hello, onMessage } = this.#options
    const connection = transport.connect(this.address, {
      onOpen: () => {
        this.#isUp = true
        sendMessage(connection, hello())
      },
      onFrame: (frame) => {
        this.#delayMs = FIRST_RETRY_MS
        try {
          onMessage(this, decodeFromJobManager(frame))
        } catch (error) {
          logger.error({ err: error, jobManager: this.address }, 'message from the JobManager refused')
          connection.destroy()
        }
      },
      onClose: () => this.#lost(),
    })
    this.#connection = connection
  }

  /** The connection stands, and the hello was the first that it carried. */
  get isUp(): boolean {
    return this.#isUp
  }

  /**
   * Dropped silently while the connection is down: the receiver of a dead connection has lost
   * interest.
   */
  send(message: FromTaskManager): void {
    if (this.#connection !== undefined && this.#isUp) sendMessage(this.#connection, message)
  }

  close(): void {
    this.#closed = true
    this.#retry?.cancel()
    this.#connection?.close()
  }

  #lost(): void {
    const wasUp = this.#isUp
    this.#connection = undefined
    this.#isUp = false
    // A dial that fails is no news: the time without a JobManager is being counted already.
    if (wasUp) this.#options.onLost(this)
    if (this.#closed) return
    this.#retry = this.#options.clock.after(this.#delayMs, () => this.open())
    this.#delayMs = Math.min(MAX_RETRY_MS, this.#delayMs * 2)
  }
}

/**
 * Links to every JobManager. A host name stands for all its addresses and is resolved again every
 * second, so that replaced JobManagers are found and gone ones dropped.
 */
export class LeaderLinks {
  readonly #addresses: readonly string[]
  readonly #options: LinkOptions
  readonly #links = new Map<string, Link>()
  #timer: Timer | undefined
  #closed = false

  constructor(addresses: readonly string[], options: LinkOptions) {
    this.#addresses = addresses
    this.#options = options
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
    const { transport, clock, logger } = this.#options
    const wanted = new Set<string>()
    for (const address of this.#addresses) {
      try {
        for (const found of await transport.resolve(address)) wanted.add(found)
      } catch (error) {
        logger.debug({ err: error, address }, 'cannot resolve the JobManager')
      }
    }
    if (this.#closed) return
    // An empty answer says nothing about links that are up: DNS may be away.
    if (wanted.size > 0) this.#dropAllBut(wanted)
    for (const address of wanted) this.#add(address)
    this.#timer = clock.after(RESOLVE_MS, () => void this.#resolve())
  }

  #dropAllBut(wanted: ReadonlySet<string>): void {
    for (const [address, link] of this.#links) {
      if (wanted.has(address)) continue
      link.close()
      this.#links.delete(address)
    }
  }

  #add(address: string): void {
    if (this.#links.has(address)) return
    const link = new Link(address, this.#options)
    this.#links.set(address, link)
    link.open()
  }
}
