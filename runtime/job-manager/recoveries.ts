import type { Clock } from '#runtime/base/clock'
import type { RecoveryView } from '#runtime/contract/rest'

interface Current {
  readonly cause: string
  readonly at: number
  readonly startMs: number
  readonly detectMs: number
  readonly electMs: number
  deployMs: number
  startedMs: number
  checkpointId: number | undefined
  restoreMs: number
}

const KEPT = 10

/**
 * The last ten recoveries with the milliseconds of each phase: what a person asks after an
 * incident.
 */
export class Recoveries {
  readonly #clock: Clock
  #views: RecoveryView[] = []
  #current: Current | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get views(): readonly RecoveryView[] {
    return this.#views
  }

  /**
   * A failure was noticed. `detectMs`: since the last sign of life; `electMs`: until this leader
   * led. A failure during a recovery extends it.
   */
  begin(cause: string, { detectMs = 0, electMs = 0 } = {}): void {
    const now = this.#clock.monotonic()
    if (this.#current !== undefined) return
    this.#current = {
      cause,
      at: this.#clock.now(),
      startMs: now,
      detectMs,
      electMs,
      deployMs: now,
      startedMs: now,
      checkpointId: undefined,
      restoreMs: 0,
    }
  }

  deploying(checkpointId: number | undefined): void {
    if (this.#current === undefined) return
    this.#current.deployMs = this.#clock.monotonic()
    this.#current.checkpointId = checkpointId
  }

  running(): void {
    const current = this.#current
    if (current === undefined) return
    current.startedMs = this.#clock.monotonic()
    current.restoreMs = current.startedMs - current.deployMs
    this.#show(current, undefined)
  }

  firstRecord(): void {
    const current = this.#current
    if (current === undefined) return
    this.#current = undefined
    this.#views.shift()
    this.#show(current, this.#clock.monotonic() - current.startedMs)
  }

  #show(current: Current, firstRecordMs: number | undefined): void {
    const view: RecoveryView = {
      at: current.at,
      cause: current.cause,
      checkpointId: current.checkpointId,
      detectMs: Math.round(current.detectMs),
      electMs: Math.round(current.electMs),
      scheduleMs: Math.round(current.deployMs - current.startMs),
      restoreMs: Math.round(current.restoreMs),
      firstRecordMs: firstRecordMs === undefined ? undefined : Math.round(firstRecordMs),
    }
    this.#views = [view, ...this.#views].slice(0, KEPT)
  }
}
