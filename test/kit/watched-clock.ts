import type { Timer } from '#runtime/base/clock'
import { TestClock } from '#runtime/testing/test-clock'

/** Virtual time that knows which timers are still to fire, and who set them. */
export class WatchedClock extends TestClock {
  readonly #pending = new Map<Timer, string>()

  override after(delayMs: number, run: () => void): Timer {
    const timer = super.after(delayMs, () => {
      this.#pending.delete(watched)
      run()
    })
    const watched: Timer = {
      cancel: () => {
        this.#pending.delete(watched)
        timer.cancel()
      },
    }
    this.#pending.set(watched, callerOf(new Error('timer set').stack))
    return watched
  }

  /** Where each pending timer was set. */
  get pending(): readonly string[] {
    return [...this.#pending.values()]
  }
}

const callerOf = (stack = ''): string => stack.split('\n').slice(2, 5).join('\n')
