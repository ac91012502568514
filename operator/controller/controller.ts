import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { isConflict, KubeApiError } from '#operator/kube/errors'
import { type Key, splitKey } from '#operator/kube/store'
import type { WorkQueue } from './workqueue.ts'

/**
 * What a reconcile ends with. The fourth outcome is to throw: an error with retry 'never' waits for
 * a change of the object or `FAILING_RETRY_MS`, every other one comes back with growing delay.
 */
export type Outcome = { readonly kind: 'done' } | { readonly kind: 'requeue'; readonly afterMs: number }
export const DONE: Outcome = { kind: 'done' }
export const requeueAfter = (afterMs: number): Outcome => ({ kind: 'requeue', afterMs })

export type ReconcileResult = 'done' | 'requeue' | 'conflict' | 'error' | 'terminal'

/** An error of an object that does not pass by itself, so that the object should say it. */
export interface Failing {
  readonly key: Key
  readonly error: unknown
}

/** Somebody may have mended meanwhile what the server refused, such as a missing permission. */
const FAILING_RETRY_MS = 30_000
/** Errors in a row that may still be a hiccup. */
const TOLERATED = 2

export interface ControllerOptions {
  readonly name: string
  readonly queue: WorkQueue<Key>
  readonly workers: number
  readonly reconcile: (key: Key, signal: AbortSignal) => Promise<Outcome>
  /**
   * Called for an error with retry 'never', and for every error from the third in a row on; an
   * object that somebody else changed meanwhile is no error.
   */
  readonly onFailing: (failing: Failing, signal: AbortSignal) => Promise<void>
  readonly clock: Clock
  readonly logger: Logger
  readonly onResult?: (name: string, result: ReconcileResult, durationMs: number) => void
}

/**
 * Runs `workers` loops over a queue. A key is never worked on twice at the same time (the queue's
 * I2).
 */
export class Controller {
  readonly #options: ControllerOptions
  /** Errors in a row. */
  readonly #errors = new Map<Key, number>()

  constructor(options: ControllerOptions) {
    this.#options = options
  }

  /** Resolves when the signal has aborted and every reconcile under way has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { queue, workers } = this.#options
    signal.addEventListener('abort', () => queue.close(), { once: true })
    if (signal.aborted) queue.close()
    await Promise.all(Array.from({ length: workers }, () => this.#work(signal)))
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { queue, clock } = this.#options
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      try {
        await this.#once(key, signal)
      } finally {
        queue.done(key)
      }
      // A reconcile that finds nothing to do waits for nothing; many of them would keep out the
      // watches, and with them the urgent keys.
      await new Promise<void>((resolve) => clock.soon(resolve))
    }
  }

  async #once(key: Key, signal: AbortSignal): Promise<void> {
    const { queue, reconcile, clock } = this.#options
    const logger = this.#loggerOf(key)
    const startedAt = clock.monotonic()
    try {
      const outcome = await reconcile(key, signal)
      queue.forget(key)
      this.#errors.delete(key)
      if (outcome.kind === 'requeue') queue.addAfter(key, outcome.afterMs)
      const durationMs = this.#report(outcome.kind, startedAt)
      logger.debug({ outcome: outcome.kind, durationMs }, 'reconciled')
    } catch (error) {
      if (signal.aborted) return
      // Somebody else has written the object meanwhile: the newer version is on its way, and
      // nothing is wrong.
      if (isConflict(error)) {
        const delayMs = queue.retry(key)
        const durationMs = this.#report('conflict', startedAt)
        logger.debug({ delayMs, durationMs }, 'object changed meanwhile')
        return
      }
      await this.#failed({ key, error }, startedAt, signal)
    }
  }

  async #failed({ key, error }: Failing, startedAt: number, signal: AbortSignal): Promise<void> {
    const { queue } = this.#options
    const logger = this.#loggerOf(key)
    const errors = (this.#errors.get(key) ?? 0) + 1
    this.#errors.set(key, errors)
    const isTerminal = error instanceof WeirError && error.retry === 'never'
    if (isTerminal || errors > TOLERATED) await this.#tell({ key, error }, signal)
    if (isTerminal) {
      queue.forget(key)
      queue.addAfter(key, FAILING_RETRY_MS)
      const durationMs = this.#report('terminal', startedAt)
      logger.error({ err: error, durationMs }, 'reconcile failed, waiting for a change')
      return
    }
    const delayMs = queue.retry(key, error instanceof KubeApiError ? error.retryAfterMs : undefined)
    const durationMs = this.#report('error', startedAt)
    logger.warn({ err: error, delayMs, durationMs }, 'reconcile failed, to be repeated')
  }

  /** The server may refuse this too; the log has both. */
  async #tell(failing: Failing, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.onFailing(failing, signal)
    } catch (error) {
      if (!signal.aborted && !isConflict(error))
        this.#loggerOf(failing.key).warn({ err: error }, 'failure not written to the object')
    }
  }

  #loggerOf(key: Key): Logger {
    return this.#options.logger.child({ controller: this.#options.name, ...splitKey(key) })
  }

  #report(result: ReconcileResult, startedAt: number): number {
    const { name, clock, onResult } = this.#options
    const durationMs = clock.monotonic() - startedAt
    onResult?.(name, result, durationMs)
    return durationMs
  }
}
