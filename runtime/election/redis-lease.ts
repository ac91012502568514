import { randomBytes } from 'node:crypto'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { systemClock } from '#runtime/base/clock'
import { assertNever, invariant, messageOf } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { RedisConfig } from '#runtime/contract/process-config'
import type { Election, ElectionState } from './lease.ts'
import type { FromLeaseThread, LeaseThreadData, ToLeaseThread } from './lease-thread.ts'
import { parseRedisUrl } from './redis-client.ts'

export interface RedisLeaseOptions {
  readonly redis: RedisConfig
  /** uid of the job: one lease each. */
  readonly uid: string
  /** Name of this candidate, for people. */
  readonly id: string
  readonly logger: Logger
}

/**
 * An election by a lease in Redis, kept by a thread of its own, so that a busy main thread does not
 * lose it.
 */
export class RedisLease implements Election {
  readonly #options: RedisLeaseOptions
  #worker: Worker | undefined
  #state: ElectionState = { kind: 'standby', leader: undefined }
  #onChange: (state: ElectionState) => void = () => undefined
  #closed: Promise<void> | undefined
  #flaps = 0
  constructor(options: RedisLeaseOptions) {
    parseRedisUrl(options.redis.url)
    this.#options = options
  }

  get state(): ElectionState {
    return this.#state
  }
  /** Times that the lease ran out unconfirmed or had to be retaken. */
  get flaps(): number {
    return this.#flaps
  }

  campaign(floor: number, onChange: (state: ElectionState) => void): void {
    invariant(this.#worker === undefined && this.#closed === undefined, 'an Election campaigns once')
    const { redis, uid, id } = this.#options
    const workerData: LeaseThreadData = { redis, uid, token: `${id}:${randomBytes(16).toString('hex')}` }
    this.#onChange = onChange
    this.#worker = new Worker(new URL(`./lease-thread${extname(import.meta.url)}`, import.meta.url), {
      workerData,
      name: 'lease',
    })
    this.#worker.on('message', (message: FromLeaseThread) => this.#receive(message))
    this.#worker.on('error', (error) => this.#lose(`the lease thread failed: ${messageOf(error)}`))
    this.#worker.on('exit', (code) => this.#lose(`the lease thread exited with ${code}`))
    this.#post({ type: 'campaign', floor })
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#onChange = () => undefined
    const worker = this.#worker
    if (worker === undefined) return
    await new Promise<void>((resolve) => {
      // Redis may be away: the lease then runs out by itself.
      const limit = systemClock.after(this.#options.redis.ttlMs, resolve)
      const done = (): void => {
        limit.cancel()
        resolve()
      }
      worker.on('message', (message: FromLeaseThread) => message.type === 'closed' && done())
      worker.once('exit', done)
      this.#post({ type: 'close' })
    })
    await worker.terminate()
  }

  #post(message: ToLeaseThread): void {
    this.#worker?.postMessage(message)
  }

  #receive(message: FromLeaseThread): void {
    const { logger } = this.#options
    switch (message.type) {
      case 'state':
        return this.#report(message.state)
      case 'notice':
        if (message.notice !== 'confirmed') this.#flaps++
        logger.warn({ notice: message.notice, flaps: this.#flaps }, 'lease unsteady')
        return
      case 'reachable':
        if (message.reachable) logger.info('redis reachable again')
        else logger.warn({ why: message.why }, 'redis not reachable, asking again')
        return
      case 'closed':
        return
      default:
        assertNever(message)
    }
  }

  #lose(why: string): void {
    if (this.#closed === undefined && this.#state.kind !== 'lost') this.#report({ kind: 'lost', why })
  }

  #report(state: ElectionState): void {
    if (this.#closed !== undefined) return
    this.#state = state
    this.#options.logger.info({ election: state }, 'election state')
    this.#onChange(state)
  }
}
