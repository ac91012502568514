import type { Redis } from 'ioredis'
import { invariant, WeirError } from '#runtime/base/errors'
import type { Epoch } from '#runtime/contract/ids'
import type { RedisConfig } from '#runtime/contract/process-config'
import type { AcquireAnswer, LeaseStore, RenewAnswer } from './lease.ts'
import { createRedisClient } from './redis-client.ts'

/**
 * Keys of one job, in one hash slot:
 *   {<prefix>:<uid>}:leader   `<token>:<epoch>`, expires after the time to live
 *   {<prefix>:<uid>}:epoch    counter, only ever raised
 *   {<prefix>:<uid>}:events   channel; a message says that the lease was released
 */
export function leaseKeys(
  keyPrefix: string,
  uid: string,
): { readonly leader: string; readonly epoch: string; readonly events: string } {
  // Braces inside would end the hash tag early and put the keys into different slots.
  const tag = `{${keyPrefix}:${uid}}`.replace(/[{}]/g, (brace, at: number, text: string) =>
    at === 0 || at === text.length - 1 ? brace : '_',
  )
  return { leader: `${tag}:leader`, epoch: `${tag}:epoch`, events: `${tag}:events` }
}

/** KEYS leader, epoch; ARGV token, floor, ttl -> {1, epoch} or {0, holder, remaining ms}. */
const ACQUIRE = `
local held = redis.call('GET', KEYS[1])
if held then
  local own = ARGV[1] .. ':'
  if string.sub(held, 1, #own) ~= own then return {0, held, redis.call('PTTL', KEYS[1])} end
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {1, tonumber(string.sub(held, #own + 1))}
end
local epoch = redis.call('INCR', KEYS[2])
if epoch < tonumber(ARGV[2]) then
  epoch = tonumber(ARGV[2])
  redis.call('SET', KEYS[2], ARGV[2])
end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. string.format('%d', epoch), 'PX', ARGV[3])
return {1, epoch}`

/** KEYS leader, epoch; ARGV token, epoch, ttl -> {1} renewed, {2} retaken, {0, holder}. */
const RENEW = `
local own = ARGV[1] .. ':' .. ARGV[2]
local held = redis.call('GET', KEYS[1])
if held == own then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {1}
end
if held then return {0, held} end
local counted = tonumber(redis.call('GET', KEYS[2]) or '0')
if counted > tonumber(ARGV[2]) then return {0, 'a candidate of epoch ' .. string.format('%d', counted)} end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('SET', KEYS[1], own, 'PX', ARGV[3])
return {2}`

/** KEYS leader; ARGV token, channel. */
const RELEASE = `
local held = redis.call('GET', KEYS[1])
local own = ARGV[1] .. ':'
if held and string.sub(held, 1, #own) == own then
  redis.call('DEL', KEYS[1])
  redis.call('PUBLISH', ARGV[2], 'released')
end
return 1`

export interface RedisLeaseStoreOptions {
  readonly redis: RedisConfig
  readonly uid: string
  /** The holder released, or a connection is up: worth asking at once. */
  readonly onHint: () => void
}

/** The lease in Redis: one connection for commands, one that listens for releases. */
export class RedisLeaseStore implements LeaseStore {
  readonly #ttlMs: number
  readonly #keys: ReturnType<typeof leaseKeys>
  readonly #commands: Redis
  readonly #listener: Redis
  #firstConnect: Promise<void> = Promise.resolve()
  constructor({ redis, uid, onHint }: RedisLeaseStoreOptions) {
    this.#ttlMs = redis.ttlMs
    this.#keys = leaseKeys(redis.keyPrefix, uid)
    const timeoutMs = Math.max(100, redis.ttlMs / 2)
    this.#commands = createRedisClient(redis, timeoutMs)
    this.#listener = createRedisClient(redis, timeoutMs, {
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
    })
    for (const connection of [this.#commands, this.#listener]) {
      // Failed commands carry the reason; without a listener ioredis prints every reconnect.
      connection.on('error', () => undefined)
      connection.on('ready', onHint)
    }
    this.#listener.on('message', onHint)
  }

  open(): void {
    this.#firstConnect = this.#commands.connect().catch(() => undefined)
    void this.#listener.connect().catch(() => undefined)
    // Subscribes again by itself after every reconnect.
    void this.#listener.subscribe(this.#keys.events).catch(() => undefined)
  }

  async acquire(token: string, floor: number): Promise<AcquireAnswer> {
    // Asking before the first connection is up would only look as if Redis were away.
    await this.#firstConnect
    const [won, value, remainingMs] = await this.#run(ACQUIRE, token, floor)
    if (won === 1) return { kind: 'acquired', epoch: Number(value) }
    return { kind: 'held', holder: holderName(String(value)), remainingMs: Number(remainingMs) }
  }

  async renew(token: string, epoch: Epoch): Promise<RenewAnswer> {
    const [answer, holder] = await this.#run(RENEW, token, epoch)
    if (answer === 1) return { kind: 'renewed' }
    if (answer === 2) return { kind: 'retaken' }
    if (answer === 0) return { kind: 'foreign', holder: holderName(String(holder)) }
    throw new WeirError('BUG', `Redis answered ${JSON.stringify(answer)} to a lease renewal`)
  }

  async #run(script: string, token: string, epoch: Epoch): Promise<readonly unknown[]> {
    const { leader, epoch: counter } = this.#keys
    const answer: unknown = await this.#commands.eval(script, 2, leader, counter, token, epoch, this.#ttlMs)
    invariant(Array.isArray(answer), 'the scripts of the lease answer with lists')
    return answer
  }

  async release(token: string): Promise<void> {
    await this.#commands.eval(RELEASE, 1, this.#keys.leader, token, this.#keys.events)
  }

  close(): void {
    this.#commands.disconnect()
    this.#listener.disconnect()
  }
}

/** `jm-0:<nonce>:7` -> `jm-0`. */
const holderName = (value: string): string => value.replace(/:[0-9a-f]{32}:[0-9]+$/, '')
