import { WeirError } from '#runtime/base/errors'
import {
  frameLength,
  type Connection,
  type ConnectionHandlers,
  type Listener,
  type Transport,
} from '#runtime/net/transport'
import type { SimNode } from './node.ts'
import type { World } from './world.ts'

const CONNECT_LIMIT_MS = 1500

type Item = { readonly frame: Uint8Array<ArrayBuffer> } | { readonly end: Error | undefined }

/** One end of a connection. Frames and the end travel in order; what follows the end is lost. */
class End implements Connection {
  readonly node: SimNode
  readonly remote: string
  readonly #network: SimNetwork
  readonly #life: number
  readonly #outbox: Item[] = []
  #handlers: ConnectionHandlers | undefined
  #arrival = 0
  #pumping = false
  peer: End | undefined
  closed = false

  constructor(network: SimNetwork, node: SimNode, remote: string) {
    this.#network = network
    this.node = node
    this.remote = remote
    this.#life = node.life
  }

  handle(handlers: ConnectionHandlers): void {
    this.#handlers = handlers
  }

  get isOfThisLife(): boolean {
    return this.#life === this.node.life && this.node.alive
  }

  opened(): void {
    this.#inNode(() => this.#handlers?.onOpen?.())
  }

  send(...parts: readonly Uint8Array[]): void {
    if (this.closed || !this.isOfThisLife) return
    frameLength(parts)
    const frame = Uint8Array.from(Buffer.concat(parts))
    if (!this.#network.onSend(this, frame)) return
    this.#outbox.push({ frame })
    this.#pump()
  }

  close(): void {
    if (this.closed) return
    this.#outbox.push({ end: undefined })
    this.#pump()
    this.#ended(undefined)
  }

  destroy(): void {
    if (this.closed) return
    this.#outbox.length = 0
    this.#outbox.push({ end: undefined })
    this.#pump()
    this.#ended(undefined)
  }

  /** The other process is gone, or a box between has forgotten the connection. */
  reset(text: string): void {
    this.#inNode(() => this.#ended(new Error(text)))
  }

  #ended(error: Error | undefined): void {
    if (this.closed) return
    this.closed = true
    this.#network.forget(this)
    this.#handlers?.onClose(error)
  }

  #inNode(run: () => void): void {
    if (this.closed) return
    this.node.deliver(this.#life, () => {
      if (!this.closed) run()
    })
  }

  /** Everything that is on its way arrives together, after a delay, once nothing blocks the way. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    const { clock } = this.#network.world
    const at = Math.max(this.#arrival, clock.monotonic() + this.#network.delay())
    this.#arrival = at
    clock.after(at - clock.monotonic(), () => this.#flush())
  }

  #flush(): void {
    this.#pumping = false
    const { peer } = this
    if (peer === undefined) return
    const blockedMs = this.#network.blockedMs(this.node, peer.node)
    if (blockedMs > 0) {
      this.#pumping = true
      this.#network.world.clock.after(blockedMs, () => this.#flush())
      return
    }
    for (const item of this.#outbox.splice(0)) {
      if ('frame' in item) peer.#inNode(() => peer.#handlers?.onFrame(item.frame))
      else peer.#inNode(() => peer.#ended(item.end))
    }
  }
}

interface Listening {
  readonly node: SimNode
  readonly life: number
  readonly accept: (connection: Connection) => ConnectionHandlers
}

/** Connections between processes, with delay, loss and partition. */
export class SimNetwork {
  readonly world: World
  /** Sees every frame before it leaves; false: it never does, because its sender just died. */
  onFrame: (from: SimNode, to: SimNode, frame: Uint8Array) => boolean = () => true
  readonly #listening = new Map<string, Listening>()
  readonly #ends = new Set<End>()
  readonly #blocked = new Map<string, number>()
  #ports = 0

  constructor(world: World) {
    this.world = world
  }

  transportOf(node: SimNode): Transport {
    return {
      listen: ({ port }, accept) => Promise.resolve(this.#listen(node, port, accept)),
      connect: (address, handlers) => this.#connect(node, address, handlers),
      resolve: (address) => Promise.resolve([address]),
    }
  }

  connectionsOf(node: SimNode): number {
    return [...this.#ends].filter((end) => end.node === node && end.isOfThisLife).length
  }

  /** Nothing passes between the two for a while; connections stand and carry on afterwards. */
  block(a: SimNode, b: SimNode, ms: number): void {
    const key = pairOf(a, b)
    const until = this.world.clock.monotonic() + ms
    this.#blocked.set(key, Math.max(until, this.#blocked.get(key) ?? 0))
  }

  heal(): void {
    this.#blocked.clear()
  }

  /** One connection is lost; both ends learn of it, not at the same time. */
  cutOne(end?: Connection): void {
    const ends = [...this.#ends].filter((e) => e.peer !== undefined && e.isOfThisLife)
    const chosen = (end as End | undefined) ?? (ends.length === 0 ? undefined : this.world.random.pick(ends))
    if (chosen === undefined) return
    const { peer } = chosen
    this.world.tell('network', `a connection of ${chosen.node.name} with ${peer?.node.name ?? '?'} is lost`)
    for (const side of [chosen, peer])
      if (side !== undefined)
        this.world.clock.after(this.world.random.between(1, 150), () => side.reset('connection reset'))
  }

  /** A process died: its peers learn of it soon, or late when its machine went with it. */
  died(node: SimNode): void {
    const { random, clock } = this.world
    for (const [address, listening] of this.#listening)
      if (listening.node === node) this.#listening.delete(address)
    const lateMs = random.chance(0.1) ? random.between(500, 3000) : 0
    for (const end of [...this.#ends]) {
      if (end.node !== node) continue
      this.#ends.delete(end)
      const { peer } = end
      if (peer !== undefined) clock.after(lateMs + random.between(1, 30), () => peer.reset('read ECONNRESET'))
    }
  }

  blockedMs(a: SimNode, b: SimNode): number {
    return Math.max(0, (this.#blocked.get(pairOf(a, b)) ?? 0) - this.world.clock.monotonic())
  }

  delay(): number {
    const { random, faulty } = this.world
    return faulty && random.chance(0.02) ? random.between(10, 120) : 0.1 + random.next() * 2
  }

  onSend(from: End, frame: Uint8Array): boolean {
    return from.peer === undefined || this.onFrame(from.node, from.peer.node, frame)
  }

  forget(end: End): void {
    this.#ends.delete(end)
  }

  #listen(node: SimNode, wanted: number, accept: Listening['accept']): Listener {
    const port = wanted === 0 ? ++this.#ports : wanted
    const address = `${node.name}:${port}`
    if (this.#listening.has(address)) throw new WeirError('CFG_INVALID', `${address} is in use`)
    this.#listening.set(address, { node, life: node.life, accept })
    return {
      port,
      close: () => {
        this.#listening.delete(address)
        return Promise.resolve()
      },
    }
  }

  #connect(node: SimNode, address: string, handlers: ConnectionHandlers): Connection {
    const dialled = new End(this, node, address)
    dialled.handle(handlers)
    this.#ends.add(dialled)
    this.world.clock.after(this.delay(), () => this.#reach(dialled, address))
    return dialled
  }

  #reach(dialled: End, address: string): void {
    const listening = this.#listening.get(address)
    if (dialled.closed || !dialled.isOfThisLife) return
    if (listening === undefined) return dialled.reset(`connect ECONNREFUSED ${address}`)
    const { node, life, accept } = listening
    const blockedMs = this.blockedMs(dialled.node, node)
    if (blockedMs > CONNECT_LIMIT_MS) {
      this.world.clock.after(CONNECT_LIMIT_MS, () => dialled.reset(`connect ETIMEDOUT ${address}`))
      return
    }
    if (blockedMs > 0) {
      this.world.clock.after(blockedMs, () => this.#reach(dialled, address))
      return
    }
    // As a kernel does: the connection stands whatever the process does at the moment.
    const accepted = new End(this, node, `${dialled.node.name}:0`)
    this.#ends.add(accepted)
    accepted.peer = dialled
    dialled.peer = accepted
    node.deliver(life, () => accepted.handle(accept(accepted)))
    this.world.clock.after(this.delay(), () => dialled.opened())
  }
}

const pairOf = (a: SimNode, b: SimNode): string => [a.name, b.name].sort().join(' - ')
