import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import { isConflict, KubeApiError } from '#operator/kube/errors'
import { type Key, splitKey } from '#operator/kube/store'
import type { WorkQueue } from './workqueue.ts'

/**
 * What a reconcile ends with. The fourth outcome is to throw: an error with retry 'never' waits for
 * a change of the object (or the resync), every other one comes back with growing delay.
 */
export type Outcome = { readonly kind: 'done' } | { readonly kind: 'requeue'; readonly afterMs: number }
export const DONE: Outcome = { kind: 'done' }
export const requeueAfter = (afterMs: number): Outcome => ({ kind: 'requeue', afterMs })

export type ReconcileResult = 'done' | 'requeue' | 'conflict' | 'error' | 'terminal'

export interface ControllerOptions {
  readonly name: string
  readonly queue: WorkQueue<Key>
  readonly workers: number
  readonly reconcile: (key: Key, signal: AbortSignal) => Promise<Outcome>
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
    const { queue } = this.#options
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      try {
        await this.#once(key, signal)
      } finally {
        queue.done(key)
      }
    }
  }

  async #once(key: Key, signal: AbortSignal): Promise<void> {
    const { name, queue, reconcile, clock, onResult } = this.#options
    const logger = this.#options.logger.child({ controller: name, ...splitKey(key) })
    const startedAt = clock.monotonic()
    const report = (result: ReconcileResult): number => {
      const durationMs = clock.monotonic() - startedAt
      onResult?.(name, result, durationMs)
      return durationMs
    }
    try {
      const outcome = await reconcile(key, signal)
      queue.forget(key)
      if (outcome.kind === 'requeue') queue.addAfter(key, outcome.afterMs)
      logger.debug({ outcome: outcome.kind, durationMs: report(outcome.kind) }, 'reconciled')
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof WeirError && error.retry === 'never') {
        queue.forget(key)
        logger.error({ err: error, durationMs: report('terminal') }, 'reconcile failed, waiting for a change')
        return
      }
      const delayMs = queue.retry(key, error instanceof KubeApiError ? error.retryAfterMs : undefined)
      // Somebody else has written the object meanwhile: the newer version is on its way, and
      // nothing is wrong.
      if (isConflict(error))
        logger.debug({ delayMs, durationMs: report('conflict') }, 'object changed meanwhile')
      else
        logger.warn({ err: error, delayMs, durationMs: report('error') }, 'reconcile failed, to be repeated')
    }
  }
}
