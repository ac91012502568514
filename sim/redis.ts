import { WeirError } from '#runtime/base/errors'
import type { AcquireAnswer, LeaseStore, RenewAnswer } from '#runtime/election/lease'
import type { SimNode } from './node.ts'
import type { World } from './world.ts'

interface LeaseData {
  readonly holder: { readonly token: string; readonly expiresAt: number } | undefined
  readonly epoch: number
}

const NOTHING: LeaseData = { holder: undefined, epoch: 0 }
const ANSWER_LIMIT_MS = 200

/**
 * A Redis as far as leases need one: one per job. It can lose everything, or go back to an earlier
 * state (failover to a replica that lagged, restart without AOF).
 */
export class SimRedis {
  readonly #world: World
  readonly #ttlMs: number
  #leases = new Map<string, LeaseData>()
  #replica = new Map<string, LeaseData>()
  blockedUntil = 0

  constructor(world: World, ttlMs: number) {
    this.#world = world
    this.#ttlMs = ttlMs
  }

  flush(): void {
    this.#world.tell('redis', 'loses everything')
    this.#leases = new Map()
  }
  /** What a later failover goes back to. */
  replicate(): void {
    this.#replica = new Map(this.#leases)
  }
  failOver(): void {
    this.#world.tell('redis', 'goes back to an earlier state')
    this.#leases = new Map(this.#replica)
  }

  /** Somebody else holds the lease for one time to live: a candidate that dies at once. */
  giveAway(uid: string): void {
    this.#world.tell('redis', `gives the lease of ${uid} to somebody else`)
    const epoch = this.#epoch(uid) + 1
    this.#leases.set(uid, { holder: { token: 'somebody else', expiresAt: this.#now() + this.#ttlMs }, epoch })
  }

  /** The lease of the job `uid` as one process reaches it. */
  clientOf(node: SimNode, uid: string): LeaseStore {
    return {
      acquire: (token, floor) => this.#call(node, () => this.#acquire(uid, token, floor)),
      renew: (token, epoch) => this.#call(node, () => this.#renew(uid, token, epoch)),
      release: (token) => this.#call(node, () => this.#release(uid, token)),
    }
  }

  #now(): number {
    return this.#world.clock.monotonic()
  }

  #holder(uid: string): LeaseData['holder'] {
    const { holder } = this.#leases.get(uid) ?? NOTHING
    return holder !== undefined && holder.expiresAt > this.#now() ? holder : undefined
  }

  #epoch(uid: string): number {
    return this.#leases.get(uid)?.epoch ?? 0
  }

  #acquire(uid: string, token: string, floor: number): AcquireAnswer {
    const holder = this.#holder(uid)
    if (holder !== undefined && holder.token !== token)
      return { kind: 'held', holder: holder.token, remainingMs: holder.expiresAt - this.#now() }
    const epoch = holder === undefined ? Math.max(this.#epoch(uid) + 1, floor) : this.#epoch(uid)
    this.#leases.set(uid, { holder: { token, expiresAt: this.#now() + this.#ttlMs }, epoch })
    return { kind: 'acquired', epoch }
  }

  #renew(uid: string, token: string, epoch: number): RenewAnswer {
    const holder = this.#holder(uid)
    if (holder !== undefined && holder.token !== token) return { kind: 'foreign', holder: holder.token }
    if (holder === undefined && this.#epoch(uid) > epoch) return { kind: 'foreign', holder: 'a later epoch' }
    this.#leases.set(uid, {
      holder: { token, expiresAt: this.#now() + this.#ttlMs },
      epoch: Math.max(epoch, this.#epoch(uid)),
    })
    return { kind: holder === undefined ? 'retaken' : 'renewed' }
  }

  #release(uid: string, token: string): void {
    if (this.#holder(uid)?.token === token)
      this.#leases.set(uid, { holder: undefined, epoch: this.#epoch(uid) })
  }

  #call<T>(node: SimNode, effect: () => T): Promise<T> {
    const { clock, random, faulty } = this.#world
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    let answered = false
    const { life } = node
    clock.after(ANSWER_LIMIT_MS, () => {
      if (!answered) node.deliver(life, () => reject(new WeirError('NET_LOST', 'redis did not answer')))
    })
    if (this.#now() < this.blockedUntil || (faulty && random.chance(0.01))) return promise
    clock.after(0.2 + random.next(), () => {
      const result = effect()
      if (faulty && random.chance(0.01)) return
      answered = true
      node.answer(0.2 + random.next(), resolve, result)
    })
    return promise
  }
}
