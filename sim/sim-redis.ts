import { WeirError } from '#runtime/base/errors'
import type { AcquireAnswer, LeaseStore, RenewAnswer } from '#runtime/election/lease'
import type { SimNode, World } from './world.ts'

interface LeaseData {
  readonly holder: { readonly token: string; readonly expiresAt: number } | undefined
  readonly epoch: number
}

/**
 * A Redis as far as the lease needs one. It can lose everything, or go back to an earlier state
 * (failover to a replica that lagged, restart without AOF).
 */
export class SimRedis {
  readonly #world: World
  readonly #ttlMs: number
  #data: LeaseData = { holder: undefined, epoch: 0 }
  #replica: LeaseData = this.#data
  blockedUntil = 0

  constructor(world: World, ttlMs: number) {
    this.#world = world
    this.#ttlMs = ttlMs
  }

  flush(): void {
    this.#world.trace('redis loses everything')
    this.#data = { holder: undefined, epoch: 0 }
  }
  /** What a later failover goes back to. */
  replicate(): void {
    this.#replica = this.#data
  }
  failOver(): void {
    this.#world.trace('redis goes back to an earlier state')
    this.#data = this.#replica
  }

  /** The store as one process reaches it. */
  clientOf(node: SimNode): LeaseStore {
    return {
      acquire: (token, floor) => this.#call(node, () => this.#acquire(token, floor)),
      renew: (token, epoch) => this.#call(node, () => this.#renew(token, epoch)),
      release: (token) =>
        this.#call(node, () => {
          if (this.#holder()?.token === token) this.#data = { ...this.#data, holder: undefined }
        }),
    }
  }

  #now(): number {
    return this.#world.clock.monotonic()
  }
  #holder(): { readonly token: string; readonly expiresAt: number } | undefined {
    const { holder } = this.#data
    return holder !== undefined && holder.expiresAt > this.#now() ? holder : undefined
  }

  #acquire(token: string, floor: number): AcquireAnswer {
    const holder = this.#holder()
    if (holder !== undefined && holder.token !== token)
      return { kind: 'held', holder: holder.token, remainingMs: holder.expiresAt - this.#now() }
    const epoch = holder === undefined ? Math.max(this.#data.epoch + 1, floor) : this.#data.epoch
    this.#data = { holder: { token, expiresAt: this.#now() + this.#ttlMs }, epoch }
    return { kind: 'acquired', epoch }
  }

  #renew(token: string, epoch: number): RenewAnswer {
    const holder = this.#holder()
    if (holder !== undefined && holder.token !== token) return { kind: 'foreign', holder: holder.token }
    if (holder === undefined && this.#data.epoch > epoch) return { kind: 'foreign', holder: 'a later epoch' }
    this.#data = {
      holder: { token, expiresAt: this.#now() + this.#ttlMs },
      epoch: Math.max(epoch, this.#data.epoch),
    }
    return { kind: holder === undefined ? 'retaken' : 'renewed' }
  }

  #call<T>(node: SimNode, effect: () => T): Promise<T> {
    const { clock, random, faulty } = this.#world
    const { life } = node
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    clock.after(200, () =>
      node.deliver(life, () => reject(new WeirError('NET_LOST', 'redis did not answer'))),
    )
    if (this.#now() < this.blockedUntil || (faulty && random.chance(0.01))) return promise
    clock.after(0.2 + random.next(), () => {
      const result = effect()
      if (!(faulty && random.chance(0.01)))
        clock.after(0.2 + random.next(), () => node.deliver(life, () => resolve(result)))
    })
    return promise
  }
}
