import type { SimNode, World } from './world.ts'

/** One connection between two processes: in order within a direction, lost as a whole. */
interface Link {
  readonly a: SimNode
  readonly b: SimNode
  /** Counts connections; what was sent on an earlier one never arrives. */
  generation: number
  up: boolean
  blockedUntil: number
  readonly arrival: Map<SimNode, number>
}

const RECONNECT_MS = 50

/**
 * Connections with delay, loss and partition. Different connections are not ordered against each
 * other.
 */
export class Network {
  readonly #world: World
  readonly #links: Link[] = []
  readonly #dying = new Map<SimNode, { readonly life: number; sends: number; readonly die: () => void }>()

  constructor(world: World) {
    this.#world = world
  }

  join(a: SimNode, b: SimNode): void {
    const link: Link = { a, b, generation: 0, up: false, blockedUntil: 0, arrival: new Map() }
    this.#links.push(link)
    this.#connectSoon(link)
  }

  isUp(a: SimNode, b: SimNode): boolean {
    return this.#find(a, b).up
  }

  /** Silently lost when there is no connection. */
  send(from: SimNode, to: SimNode, message: unknown): void {
    if (!this.#survivesSend(from)) return
    const link = this.#find(from, to)
    if (!link.up) return
    const { clock, random } = this.#world
    const delay = random.chance(0.03) ? random.between(10, 120) : random.next() * 4
    const at = Math.max(link.arrival.get(to) ?? 0, clock.monotonic() + delay)
    link.arrival.set(to, at)
    const { generation } = link
    const { life } = to
    clock.after(at - clock.monotonic(), () => {
      if (link.generation === generation) to.deliver(life, () => to.process?.onMessage(from, message))
    })
  }

  /**
   * `node` dies when it has sent so many messages more, perhaps in the middle of telling several
   * peers.
   */
  dieAfter(node: SimNode, sends: number, die: () => void): void {
    this.#dying.set(node, { life: node.life, sends, die })
  }

  #survivesSend(node: SimNode): boolean {
    const dying = this.#dying.get(node)
    if (dying === undefined || dying.life !== node.life) return node.alive
    if (dying.sends > 0) dying.sends--
    else {
      this.#dying.delete(node)
      dying.die()
    }
    return node.alive
  }

  /**
   * The connection is gone; both ends learn of it after a while, and it may come back after
   * `blockedMs`.
   */
  cut(a: SimNode, b: SimNode, blockedMs: number): void {
    const link = this.#find(a, b)
    link.blockedUntil = Math.max(link.blockedUntil, this.#world.clock.monotonic() + blockedMs)
    this.#break(link)
  }

  /** A process died: all its connections break. */
  cutAll(node: SimNode): void {
    for (const link of this.#links) if (link.a === node || link.b === node) this.#break(link)
  }

  heal(): void {
    for (const link of this.#links) link.blockedUntil = 0
  }

  peersOf(node: SimNode): SimNode[] {
    return this.#links.flatMap((link) => (link.a === node ? [link.b] : link.b === node ? [link.a] : []))
  }

  #find(a: SimNode, b: SimNode): Link {
    return this.#links.find((l) => (l.a === a && l.b === b) || (l.a === b && l.b === a)) as Link
  }

  #break(link: Link): void {
    if (!link.up) return
    const { clock, random } = this.#world
    link.up = false
    link.generation++
    this.#world.trace(`connection ${link.a.name} - ${link.b.name} lost`)
    let latest = 0
    for (const [node, peer] of [
      [link.a, link.b],
      [link.b, link.a],
    ] as const) {
      const delay = random.between(1, 150)
      latest = Math.max(latest, delay)
      const { life } = node
      clock.after(delay, () => node.deliver(life, () => node.process?.onLost(peer)))
    }
    clock.after(latest + 1, () => this.#connectSoon(link))
  }

  #connectSoon(link: Link): void {
    const { clock, random } = this.#world
    clock.after(random.between(1, RECONNECT_MS), () => {
      if (link.up) return
      if (!link.a.alive || !link.b.alive || clock.monotonic() < link.blockedUntil)
        return this.#connectSoon(link)
      link.up = true
      link.generation++
      link.arrival.clear()
      const { generation } = link
      for (const [node, peer] of [
        [link.a, link.b],
        [link.b, link.a],
      ] as const)
        node.deliver(node.life, () => {
          if (link.generation === generation) node.process?.onConnected(peer)
        })
    })
  }
}
