import type { Clock } from '#runtime/base/clock'
import type { Logger } from '#runtime/base/logger'
import type { ConnectorCounters } from '#runtime/connectors/connector-context'

/** Between two warnings of the same. */
const WARN_EVERY_MS = 60_000

const REMEDIES = {
  lateDropped:
    'records came after their window had closed and were dropped; lateTo keeps them, ' +
    'allowedLateness or a larger bound of the watermarks has fewer of them late',
  badRecords:
    "records could not be read and were left out, because onBadLine is 'skip'; " +
    "onBadLine: sideOutput('bad') keeps them, with file, line and error",
} as const

type Drop = keyof typeof REMEDIES

/**
 * Says in the log what an operator has dropped: at once the first time, then at most once a minute,
 * and at the end what has not been said yet.
 */
export class DropWarnings {
  readonly #counters: ConnectorCounters
  readonly #logger: Logger
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #said = new Map<Drop, { readonly count: number; readonly at: number }>()

  /** `logger`: of the operator. */
  constructor(counters: ConnectorCounters, logger: Logger, clock: Pick<Clock, 'monotonic'>) {
    this.#counters = counters
    this.#logger = logger
    this.#clock = clock
  }

  /** A few times a second. */
  check(): void {
    const now = this.#clock.monotonic()
    for (const drop of Object.keys(REMEDIES) as Drop[]) {
      const last = this.#said.get(drop)
      if (last === undefined || now - last.at >= WARN_EVERY_MS) this.#say(drop, now)
    }
  }

  /** Nothing will be dropped any more. */
  end(): void {
    const now = this.#clock.monotonic()
    for (const drop of Object.keys(REMEDIES) as Drop[]) this.#say(drop, now)
  }

  #say(drop: Drop, at: number): void {
    const total = this.#counters[drop]
    const count = total - (this.#said.get(drop)?.count ?? 0)
    if (count === 0) return
    this.#said.set(drop, { count: total, at })
    this.#logger.warn({ count, total }, `${count} ${REMEDIES[drop]}`)
  }
}
