import { backoffDelay } from '#runtime/base/backoff'
import { type Clock, sleep } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { CallOptions, CheckpointStore } from './checkpoint-store.ts'
import { keyUrl } from './paths.ts'

export interface CreateExactOptions {
  readonly clock: Clock
  readonly random: () => number
  /** Default 60 s. */
  readonly limitMs?: number
  readonly signal?: AbortSignal
  /** Told of each try that failed and is repeated. */
  readonly onRetry?: ((error: unknown) => void) | undefined
}

const BACKOFF = { initialMs: 100, maxMs: 5000, multiplier: 2, jitter: 0.2 }

/**
 * Makes the object `key` hold exactly `bytes`, whatever became of earlier tries: transient failures
 * are retried, and `exists` counts as success when the stored bytes are these. For keys that only
 * this writer and its own retries use. @throws {WeirError} STO_EXISTS when other bytes are there,
 * STO_UNAVAILABLE after `limitMs`.
 */
export async function createExact(
  store: CheckpointStore,
  key: string,
  bytes: Uint8Array,
  options: CreateExactOptions,
): Promise<void> {
  const { clock, random, limitMs = 60_000, signal } = options
  const call = signal === undefined ? {} : { signal }
  const start = clock.monotonic()
  for (let tries = 1; ; tries++) {
    try {
      return await createOrCompare(store, key, bytes, call)
    } catch (error) {
      if (!mayPass(error)) throw error
      const delay = backoffDelay(BACKOFF, tries, random())
      if (clock.monotonic() - start + delay > limitMs) throw error
      options.onRetry?.(error)
      await sleep(clock, delay, signal)
    }
  }
}

async function createOrCompare(
  store: CheckpointStore,
  key: string,
  bytes: Uint8Array,
  call: CallOptions,
): Promise<void> {
  if ((await store.create(key, bytes, call)) === 'created') return
  const stored = await store.get(key, call)
  if (Buffer.compare(stored, bytes) === 0) return
  throw new WeirError(
    'STO_EXISTS',
    `Cannot create ${keyUrl(store.url, key)}: it exists with other contents ` +
      `(${stored.byteLength} bytes, ${bytes.byteLength} to write).`,
  )
}

/** STO_MISSING: what stood there went between `exists` and the read. */
const mayPass = (error: unknown): boolean =>
  error instanceof WeirError && (error.code === 'STO_UNAVAILABLE' || error.code === 'STO_MISSING')
