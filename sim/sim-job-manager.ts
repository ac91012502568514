import { silentLogger } from '#runtime/base/logger'
import { CommitLog } from '#runtime/commit-log/commit-log'
import { LeaseLoop } from '#runtime/election/lease-loop'
import { LEASE_TTL_MS } from './job.ts'
import type { FromTaskManager } from './messages.ts'
import { SimLeadership } from './sim-leadership.ts'
import type { SimStore } from './sim-store.ts'
import type { Surroundings } from './surroundings.ts'
import type { Process, SimNode } from './world.ts'

/**
 * A JobManager: campaigns with the product's lease loop, leads with the product's commit log and
 * coordinator, and starts over when it is deposed.
 */
export class SimJobManager implements Process {
  readonly #around: Surroundings
  readonly #node: SimNode
  readonly #store: SimStore
  readonly #taskManagers = new Set<SimNode>()
  #leadership: SimLeadership | undefined
  #campaigns = 0

  constructor(around: Surroundings, node: SimNode) {
    this.#around = around
    this.#node = node
    this.#store = around.storeOf(node)
    void this.#campaign()
  }

  onConnected(peer: SimNode): void {
    this.#taskManagers.add(peer)
    this.#leadership?.onConnected(peer)
  }

  onLost(peer: SimNode): void {
    this.#taskManagers.delete(peer)
    this.#leadership?.onLost(peer)
  }

  onMessage(peer: SimNode, message: unknown): void {
    this.#leadership?.onMessage(peer, message as FromTaskManager)
  }

  /** Somebody asks for a savepoint at this process. */
  savepoint(triggerId: string): void {
    this.#leadership?.savepoint(triggerId)
  }

  async #campaign(): Promise<void> {
    const clock = this.#node.clock()
    const { random } = this.#node.world
    const again = (delayMs: number) => clock.after(delayMs, () => void this.#campaign())
    const token = `${this.#node.name}:${this.#node.life}.${++this.#campaigns}`
    try {
      const log = await CommitLog.open({
        store: this.#store,
        clock,
        random: random.next,
        logger: silentLogger,
      })
      if (log.state.closed !== undefined) return
      const lease = new LeaseLoop({
        store: this.#around.redis.clientOf(this.#node),
        clock,
        random: random.next,
        ttlMs: LEASE_TTL_MS,
        token,
      })
      lease.campaign(log.state.epoch + 1, (state) => {
        if (state.kind === 'leading') void this.#lead(state.redisEpoch, lease, again)
        if (state.kind === 'lost') {
          if (this.#leadership === undefined) return
          this.#end(lease)
          again(20)
        }
      })
    } catch {
      again(100)
    }
  }

  async #lead(floor: number, lease: LeaseLoop, again: (delayMs: number) => void): Promise<void> {
    const leadership = new SimLeadership(this.#around, this.#node, this.#store, () => {
      if (this.#leadership !== leadership) return
      this.#end(lease)
      again(50)
    })
    this.#leadership = leadership
    await leadership.open(floor, this.#taskManagers)
  }

  #end(lease: LeaseLoop): void {
    this.#leadership?.close()
    this.#leadership = undefined
    void lease.close()
  }
}
