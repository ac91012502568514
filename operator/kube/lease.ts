/**
 * Election of one of several operator processes by a coordination.k8s.io Lease.
 *
 * I1 Expiry is measured on this process's own clock from the moment it saw the record change;
 *    clocks of machines are never compared.
 * I2 Every write is conditional on the version that was read, so that two candidates cannot both
 *    win.
 * I3 A leader that could not renew for `renewDeadlineMs` (shorter than the duration) counts itself
 *    as deposed before another one can win.
 */
import { type Clock, sleep } from '#runtime/base/clock'
import { messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
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
const READ_LIMIT_MS = 5000

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

  constructor(options: LeaseOptions) {
    this.#options = options
  }

  /** Resolves when this process leads; rejects when the signal aborts. */
  async acquire(signal: AbortSignal): Promise<void> {
    const { clock, retryMs, random, logger, identity } = this.#options
    for (;;) {
      signal.throwIfAborted()
      const leads = await this.#tryAcquire(signal).catch((error: unknown) => {
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
    let renewedAt = clock.monotonic()
    while (!signal.aborted) {
      await sleep(clock, retryMs, signal).catch(() => undefined)
      if (signal.aborted) break
      try {
        if (!(await this.#tryAcquire(signal))) {
          logger.warn({}, 'lease taken by another process')
          return 'lost'
        }
        renewedAt = clock.monotonic()
      } catch (error) {
        if (signal.aborted) break
        logger.warn({ message: messageOf(error) }, 'lease not renewed')
        if (clock.monotonic() - renewedAt >= renewDeadlineMs) return 'lost'
      }
    }
    await this.#release()
    return 'released'
  }

  async #tryAcquire(signal: AbortSignal): Promise<boolean> {
    const lease = await this.#read(signal)
    if (lease === undefined) {
      await this.#create()
      return true
    }
    const { client, identity } = this.#options
    const holder = lease.spec?.holderIdentity ?? ''
    if (holder !== identity && holder !== '' && !this.#isExpired(lease)) return false
    const mine = this.#mine()
    const leaseTransitions = (lease.spec?.leaseTransitions ?? 0) + 1
    await client.replace({
      apiVersion: LEASE_VERSION,
      kind: 'Lease',
      metadata: lease.metadata,
      spec: {
        ...lease.spec,
        ...mine,
        ...(holder === identity ? {} : { acquireTime: mine.renewTime, leaseTransitions }),
      },
    })
    return true
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    const { client, namespace, name } = this.#options
    const limit = AbortSignal.any([signal, AbortSignal.timeout(READ_LIMIT_MS)])
    try {
      return await client.get<Lease>(RESOURCES.Lease, namespace, name, limit)
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async #create(): Promise<void> {
    const { client, namespace, name } = this.#options
    const mine = this.#mine()
    await client.create({
      apiVersion: LEASE_VERSION,
      kind: 'Lease',
      metadata: { name, namespace },
      spec: { ...mine, acquireTime: mine.renewTime, leaseTransitions: 0 },
    })
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
    const { client, namespace, name, identity, logger } = this.#options
    try {
      const lease = await client.get<Lease>(RESOURCES.Lease, namespace, name)
      if (lease.spec?.holderIdentity !== identity) return
      await client.replace({
        ...lease,
        apiVersion: LEASE_VERSION,
        kind: 'Lease',
        spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 },
      })
    } catch (error) {
      logger.warn({ err: error }, 'lease not released')
    }
  }
}
