import { type Clock, sleep } from '#runtime/base/clock'
import { messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { KubeObject } from '#operator/resources/object'
import type { KubeClient } from './client.ts'
import { isConflict, isNotFound } from './errors.ts'
import { RESOURCES } from './resource.ts'

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
        logger.warn({ why: messageOf(error) }, 'lease not renewed')
        if (clock.monotonic() - renewedAt >= renewDeadlineMs) return 'lost'
      }
    }
    await this.#release()
    return 'released'
  }

  async #tryAcquire(signal: AbortSignal): Promise<boolean> {
    const { client, namespace, name, identity, clock, durationMs } = this.#options
    const now = new Date(clock.now()).toISOString().replace('Z', '000Z')
    const mine: LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      renewTime: now,
    }
    let lease: Lease
    try {
      lease = await client.get<Lease>(
        RESOURCES.Lease,
        namespace,
        name,
        AbortSignal.any([signal, AbortSignal.timeout(5000)]),
      )
    } catch (error) {
      if (!isNotFound(error)) throw error
      await client.create({
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name, namespace },
        spec: { ...mine, acquireTime: now, leaseTransitions: 0 },
      })
      return true
    }
    const holder = lease.spec?.holderIdentity ?? ''
    if (holder !== identity && holder !== '' && !this.#isExpired(lease)) return false
    const taken = holder !== identity
    await client.replace({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: lease.metadata,
      spec: {
        ...lease.spec,
        ...mine,
        ...(taken ? { acquireTime: now, leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + 1 } : {}),
      },
    })
    return true
  }

  #isExpired(lease: Lease): boolean {
    const { clock, durationMs } = this.#options
    const record = JSON.stringify(lease.spec)
    if (this.#seen?.record !== record) this.#seen = { record, at: clock.monotonic() }
    const duration =
      lease.spec?.leaseDurationSeconds === undefined ? durationMs : lease.spec.leaseDurationSeconds * 1000
    return clock.monotonic() - this.#seen.at > duration
  }

  /** So that the next process need not wait for the expiry. */
  async #release(): Promise<void> {
    const { client, namespace, name, identity, logger } = this.#options
    try {
      const lease = await client.get<Lease>(RESOURCES.Lease, namespace, name)
      if (lease.spec?.holderIdentity !== identity) return
      await client.replace({
        ...lease,
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 },
      })
    } catch (error) {
      logger.warn({ err: error }, 'lease not released')
    }
  }
}
