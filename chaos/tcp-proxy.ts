/**
 * A way to a TCP server that can be damaged. What is held back is not lost: it arrives late when
 * the way is open again, as it does after a partition of a network.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** `requests`: towards the server. */
export type Direction = 'requests' | 'answers'

interface Flow {
  readonly client: Socket
  readonly server: Socket
}

export class TcpProxy implements AsyncDisposable {
  readonly #host: string
  readonly #listener: Server
  readonly #flows = new Set<Flow>()
  readonly #held = new Set<Direction>()
  /** A side that closed while its direction was held: the other learns of it later. */
  readonly #ends = new Set<() => void>()
  #isCut = false
  #targetPort = 0

  private constructor(host: string) {
    this.#host = host
    this.#listener = createServer((client) => this.#accept(client))
  }

  /** Listens on `host`, an address of the loopback; port 0: any free one. */
  static async start(host = '127.0.0.1', port = 0): Promise<TcpProxy> {
    const proxy = new TcpProxy(host)
    proxy.#listener.listen(port, host)
    await once(proxy.#listener, 'listening')
    return proxy
  }

  get host(): string {
    return this.#host
  }
  get port(): number {
    return (this.#listener.address() as AddressInfo).port
  }

  /** Port of the server on 127.0.0.1, for connections from now on. */
  aim(targetPort: number): void {
    this.#targetPort = targetPort
  }

  /** Breaks what is connected, and refuses what connects. */
  cut(): void {
    this.#isCut = true
    this.breakConnections()
  }

  /** Nothing gets through in these directions; whoever sends notices nothing. */
  hold(directions: readonly Direction[]): void {
    for (const direction of directions) this.#held.add(direction)
    for (const flow of this.#flows) this.#arrange(flow)
  }

  /** Open both ways; what was held arrives now. */
  heal(): void {
    this.#isCut = false
    this.#held.clear()
    for (const flow of this.#flows) this.#arrange(flow)
    for (const end of this.#ends) end()
    this.#ends.clear()
  }

  breakConnections(): void {
    for (const { client, server } of this.#flows) {
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
    this.#flows.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.breakConnections()
    await new Promise((resolve) => this.#listener.close(resolve))
  }

  #accept(client: Socket): void {
    client.on('error', () => undefined)
    if (this.#isCut) return void client.resetAndDestroy()
    const server = connect({ port: this.#targetPort, host: '127.0.0.1' })
    server.on('error', () => undefined)
    client.setNoDelay(true)
    server.setNoDelay(true)
    const flow = { client, server }
    this.#flows.add(flow)
    client.on('close', () => this.#closed(flow, 'requests', server))
    server.on('close', () => this.#closed(flow, 'answers', client))
    this.#arrange(flow)
  }

  #arrange({ client, server }: Flow): void {
    arrange(client, server, this.#held.has('requests'))
    arrange(server, client, this.#held.has('answers'))
  }

  /** One side is closed: so is the other, as soon as news can reach it. */
  #closed(flow: Flow, direction: Direction, other: Socket): void {
    const end = () => {
      this.#flows.delete(flow)
      other.destroySoon()
    }
    if (this.#held.has(direction) && !other.destroyed) this.#ends.add(end)
    else end()
  }
}

function arrange(from: Socket, to: Socket, isHeld: boolean): void {
  from.unpipe(to)
  if (isHeld) from.pause()
  else from.pipe(to)
}
