/**
 * Election of one of several operator processes by a coordination.k8s.io Lease.
 *
 * I1 Expiry is measured on this process's own clock from the moment it saw the record change;
 *    clocks of machines are never compared.
 * I2 Every write is conditional on the version that was read, so that two candidates cannot both
 *    win.
 * I3 A leader that could not renew for `renewDeadlineMs` (shorter than the duration) counts itself
 *    as deposed before another one can win: the time runs from before its last successful request
 *    was sent, and no call and no pause lasts beyond it.
 */
import { type Clock, sleep } from '#runtime/base/clock'
import { messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { watchdog } from '#runtime/base/watchdog'
import type { KubeObject } from '#operator/resources/object'
import type { KubeClient } from './client.ts'
import { isConflict, isNotFound } from './errors.ts'
import { RESOURCES } from './resource.ts'

export interface LeaseOptions {
  readonly client: KubeClient
  readonly namespace: string
  readonly name: string
  readonly identity: string
  readonly durationMs: number
  readonly renewDeadlineMs: number
  readonly retryMs: number
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
}

const LEASE_VERSION = 'coordination.k8s.io/v1'
const RELEASE_LIMIT_MS = 5000

interface LeaseSpec {
  readonly holderIdentity?: string | null
  readonly leaseDurationSeconds?: number
  readonly acquireTime?: string
  readonly renewTime?: string
  readonly leaseTransitions?: number
}
type Lease = KubeObject & { readonly spec?: LeaseSpec }

export class LeaseElector {
  readonly #options: LeaseOptions
  #seen: { readonly record: string; readonly at: number } | undefined
  /** When the request that took or renewed the Lease last was begun. */
  #renewedAt = 0

  constructor(options: LeaseOptions) {
    this.#options = options
  }

  /** Resolves when this process leads; rejects when the signal aborts. */
  async acquire(signal: AbortSignal): Promise<void> {
    const { clock, retryMs, random, logger, identity } = this.#options
    for (;;) {
      signal.throwIfAborted()
      const leads = await this.#tryAcquire(this.#callLimitMs(), signal).catch((error: unknown) => {
        if (!isConflict(error)) logger.warn({ err: error }, 'lease not reachable')
        return false
      })
      if (leads) {
        logger.info({ identity }, 'leading')
        return
      }
      await sleep(clock, retryMs * (1 + 0.2 * random()), signal)
    }
  }

  /**
   * Renews until the signal aborts (then releases) or the lease is lost; resolves with which of the
   * two.
   */
  async hold(signal: AbortSignal): Promise<'released' | 'lost'> {
    const { clock, retryMs, renewDeadlineMs, logger } = this.#options
    const remaining = () => this.#renewedAt + renewDeadlineMs - clock.monotonic()
    while (!signal.aborted) {
      await sleep(clock, Math.max(0, Math.min(retryMs, remaining())), signal).catch(() => undefined)
      if (signal.aborted) break
      if (remaining() <= 0) return 'lost'
      try {
        if (await this.#tryAcquire(Math.min(this.#callLimitMs(), remaining()), signal)) continue
        logger.warn({}, 'lease taken by another process')
        return 'lost'
      } catch (error) {
        if (signal.aborted) break
        logger.warn({ message: messageOf(error) }, 'lease not renewed')
      }
    }
    await this.#release()
    return 'released'
  }

  /** A call that hangs is given up early enough to try again. */
  #callLimitMs(): number {
    return Math.max(this.#options.retryMs, this.#options.renewDeadlineMs / 3)
  }

  async #tryAcquire(limitMs: number, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options
    const startedAt = clock.monotonic()
    const limit = watchdog(clock, limitMs, 'no answer about the Lease')
    try {
      const leads = await this.#write(AbortSignal.any([signal, limit.signal]))
      if (leads) this.#renewedAt = startedAt
      return leads
    } finally {
      limit.cancel()
    }
  }

  /** False where another process holds the Lease. */
  async #write(signal: AbortSignal): Promise<boolean> {
    const lease = await this.#read(signal)
    if (lease === undefined) {
      await this.#create(signal)
      return true
    }
    const { client, identity } = this.#options
    const holder = lease.spec?.holderIdentity ?? ''
    if (holder !== identity && holder !== '' && !this.#isExpired(lease)) return false
    const mine = this.#mine()
    const leaseTransitions = (lease.spec?.leaseTransitions ?? 0) + 1
    const spec = {
      ...lease.spec,
      ...mine,
      ...(holder === identity ? {} : { acquireTime: mine.renewTime, leaseTransitions }),
    }
    const renewed = { apiVersion: LEASE_VERSION, kind: 'Lease', metadata: lease.metadata, spec }
    await client.replace(renewed, undefined, signal)
    return true
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    const { client, namespace, name } = this.#options
    try {
      return await client.get<Lease>(RESOURCES.Lease, namespace, name, signal)
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async #create(signal: AbortSignal): Promise<void> {
    const { client, namespace, name } = this.#options
    const mine = this.#mine()
    const spec = { ...mine, acquireTime: mine.renewTime, leaseTransitions: 0 }
    const lease = { apiVersion: LEASE_VERSION, kind: 'Lease', metadata: { name, namespace }, spec }
    await client.create(lease, signal)
  }

  /** The record of this process, as of now. */
  #mine() {
    const { identity, clock, durationMs } = this.#options
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      // Kubernetes wants microseconds.
      renewTime: new Date(clock.now()).toISOString().replace('Z', '000Z'),
    }
  }

  #isExpired(lease: Lease): boolean {
    const { clock, durationMs } = this.#options
    const record = JSON.stringify(lease.spec)
    if (this.#seen?.record !== record) this.#seen = { record, at: clock.monotonic() }
    const duration =
      lease.spec?.leaseDurationSeconds === undefined ? durationMs : lease.spec.leaseDurationSeconds * 1000
    return clock.monotonic() - this.#seen.at > duration
  }

  /** So that the next process does not have to wait for the expiry. */
  async #release(): Promise<void> {
    const { client, namespace, name, identity, clock, logger } = this.#options
    const limit = watchdog(clock, RELEASE_LIMIT_MS, 'no answer about the Lease')
    try {
      const lease = await client.get<Lease>(RESOURCES.Lease, namespace, name, limit.signal)
      if (lease.spec?.holderIdentity !== identity) return
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 }
      const released = { ...lease, apiVersion: LEASE_VERSION, kind: 'Lease', spec }
      await client.replace(released, undefined, limit.signal)
    } catch (error) {
      logger.warn({ err: error }, 'lease not released')
    } finally {
      limit.cancel()
    }
  }
}
