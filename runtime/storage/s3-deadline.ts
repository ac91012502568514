import type { Clock, Timer } from '#runtime/base/clock'

/**
 * Aborts a request after `limitMs` without progress, or when the caller's signal does. Disposing it
 * removes timer and listener.
 */
export class Deadline implements Disposable {
  readonly limitMs: number
  readonly #clock: Clock
  readonly #outer: AbortSignal | undefined
  readonly #controller = new AbortController()
  #timer: Timer
  #expired = false
  constructor(clock: Clock, limitMs: number, outer?: AbortSignal) {
    this.limitMs = limitMs
    this.#clock = clock
    this.#outer = outer
    this.#timer = this.#arm()
    if (outer?.aborted) this.#onOuterAbort()
    else outer?.addEventListener('abort', this.#onOuterAbort, { once: true })
  }
  get signal(): AbortSignal {
    return this.#controller.signal
  }
  get expired(): boolean {
    return this.#expired
  }
  /** Bytes arrived: the limit starts again. */
  extend(): void {
    this.#timer.cancel()
    this.#timer = this.#arm()
  }
  [Symbol.dispose](): void {
    this.#timer.cancel()
    this.#outer?.removeEventListener('abort', this.#onOuterAbort)
  }
  #arm(): Timer {
    return this.#clock.after(this.limitMs, () => {
      this.#expired = true
      this.#controller.abort()
    })
  }
  readonly #onOuterAbort = (): void => this.#controller.abort()
}
