import type { AcquireAnswer, LeaseStore, RenewAnswer } from '#runtime/election/lease'

/**
 * What Redis holds of one job's lease, in memory and with the same meaning as the scripts of
 * redis-lease-store.ts. Several stores share one.
 */
export class MemoryLease {
  readonly #now: () => number
  readonly #listeners = new Set<() => void>()
  #held: { readonly token: string; readonly epoch: number; readonly until: number } | undefined
  #epoch = 0
  constructor(now: () => number) {
    this.#now = now
  }

  get held(): { readonly token: string; readonly epoch: number; readonly until: number } | undefined {
    return this.#held !== undefined && this.#held.until > this.#now() ? this.#held : undefined
  }

  /** FLUSHALL, or a restart without persistence. */
  flush(): void {
    this.#held = undefined
    this.#epoch = 0
  }

  acquire(token: string, floor: number, ttlMs: number): AcquireAnswer {
    const { held } = this
    if (held !== undefined && held.token !== token)
      return { kind: 'held', holder: held.token, remainingMs: held.until - this.#now() }
    const epoch = held?.epoch ?? Math.max(this.#epoch + 1, floor)
    this.#epoch = Math.max(this.#epoch, epoch)
    this.#held = { token, epoch, until: this.#now() + ttlMs }
    return { kind: 'acquired', epoch }
  }

  renew(token: string, epoch: number, ttlMs: number): RenewAnswer {
    const { held } = this
    if (held !== undefined && (held.token !== token || held.epoch !== epoch))
      return { kind: 'foreign', holder: held.token }
    if (held === undefined && this.#epoch > epoch)
      return { kind: 'foreign', holder: `a candidate of epoch ${this.#epoch}` }
    this.#epoch = Math.max(this.#epoch, epoch)
    this.#held = { token, epoch, until: this.#now() + ttlMs }
    return { kind: held === undefined ? 'retaken' : 'renewed' }
  }

  release(token: string): void {
    if (this.held?.token !== token) return
    this.#held = undefined
    for (const listener of this.#listeners) listener()
  }

  onRelease(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

export interface MemoryLeaseHooks {
  /** Throwing: the command never arrived. */
  before?(): Promise<void> | void
  /** Throwing: it took effect, the answer was lost. */
  after?(): Promise<void> | void
}

/** One candidate's connection to a MemoryLease, with its own faults. */
export class MemoryLeaseStore implements LeaseStore {
  readonly #lease: MemoryLease
  readonly #ttlMs: number
  readonly #hooks: MemoryLeaseHooks
  constructor(lease: MemoryLease, ttlMs: number, hooks: MemoryLeaseHooks = {}) {
    this.#lease = lease
    this.#ttlMs = ttlMs
    this.#hooks = hooks
  }
  acquire(token: string, floor: number): Promise<AcquireAnswer> {
    return this.#run(() => this.#lease.acquire(token, floor, this.#ttlMs))
  }
  renew(token: string, epoch: number): Promise<RenewAnswer> {
    return this.#run(() => this.#lease.renew(token, epoch, this.#ttlMs))
  }
  release(token: string): Promise<void> {
    return this.#run(() => this.#lease.release(token))
  }
  async #run<T>(effect: () => T): Promise<T> {
    await this.#hooks.before?.()
    const result = effect()
    await this.#hooks.after?.()
    return result
  }
}
