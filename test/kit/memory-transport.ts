import { WeirError } from '#runtime/base/errors'
import { MAX_GREETING_BYTES } from '#runtime/net/frame-socket'
import {
  frameLength,
  type Connection,
  type ConnectionHandlers,
  type Listener,
  type Transport,
} from '#runtime/net/transport'

type Accept = (connection: Connection) => ConnectionHandlers

/** A network within the process: frames arrive in order, in a turn of their own (N1 to N5). */
export class MemoryTransport implements Transport {
  readonly #listeners = new Map<number, Accept>()
  readonly #open = new Set<End>()
  #ports = 10_000

  /** Ends of connections that stand. */
  get open(): readonly string[] {
    return [...this.#open].filter((end) => !end.closed).map((end) => end.remote)
  }

  listen({ port }: { readonly host: string; readonly port: number }, accept: Accept): Promise<Listener> {
    const own = port === 0 ? ++this.#ports : port
    if (this.#listeners.has(own))
      return Promise.reject(new WeirError('CFG_INVALID', `Cannot listen on ${own}: in use`))
    this.#listeners.set(own, accept)
    const close = (): Promise<void> => {
      this.#listeners.delete(own)
      return Promise.resolve()
    }
    return Promise.resolve({ port: own, close })
  }

  connect(address: string, handlers: ConnectionHandlers): Connection {
    const near = new End(address, handlers)
    this.#open.add(near)
    queueMicrotask(() => {
      if (near.closed) return
      const accept = this.#listeners.get(Number(address.split(':').at(-1)))
      if (accept === undefined) return near.fail(new Error(`connect ECONNREFUSED ${address}`))
      const far = new End('dialler', undefined, MAX_GREETING_BYTES)
      this.#open.add(far)
      far.link(near)
      near.link(far)
      far.handle(accept(far))
      handlers.onOpen?.()
    })
    return near
  }

  resolve(address: string): Promise<readonly string[]> {
    return Promise.resolve([address])
  }
}

class End implements Connection {
  readonly remote: string
  closed = false
  #handlers: ConnectionHandlers | undefined
  #peer: End | undefined
  #limitBytes: number
  /** It was destroyed: what it sent and has not arrived is lost. */
  #destroyed = false

  constructor(remote: string, handlers?: ConnectionHandlers, limitBytes = Infinity) {
    this.remote = remote
    this.#handlers = handlers
    this.#limitBytes = limitBytes
  }

  link(peer: End): void {
    this.#peer = peer
  }

  handle(handlers: ConnectionHandlers): void {
    this.#handlers = handlers
  }

  send(...parts: readonly Uint8Array[]): void {
    if (this.closed) return
    frameLength(parts)
    const frame = new Uint8Array(Buffer.concat(parts))
    queueMicrotask(() => {
      if (!this.#destroyed) this.#peer?.take(frame)
    })
  }

  take(frame: Uint8Array<ArrayBuffer>): void {
    if (this.closed) return
    if (frame.byteLength > this.#limitBytes) return this.fail(new Error('the first frame is too long'))
    this.#limitBytes = Infinity
    this.#handlers?.onFrame(frame)
  }

  close(): void {
    this.#end(undefined)
  }

  destroy(): void {
    this.#destroyed = true
    this.#end(undefined)
  }

  fail(error: Error): void {
    this.#end(error)
  }

  #end(error: Error | undefined): void {
    if (this.closed) return
    this.closed = true
    this.#handlers?.onClose(error)
    queueMicrotask(() => this.#peer?.close())
  }
}
