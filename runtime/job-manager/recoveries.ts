import type { Clock } from '#runtime/base/clock'
import type { CheckpointId } from '#runtime/contract/ids'
import type { RecoveryView } from '#runtime/contract/rest'

/** A recovery; times on the monotonic clock, undefined until its phase has begun. */
interface Recovery {
  readonly cause: string
  /** Wall clock. */
  readonly at: number
  readonly startMs: number
  readonly detectMs: number
  readonly electMs: number
  deployMs: number | undefined
  checkpointId: CheckpointId | undefined
  runningMs: number | undefined
  firstRecordMs: number | undefined
}

const KEPT = 10

/**
 * The last ten recoveries with the milliseconds of each phase: what a person asks after an
 * incident. A recovery begins with a failure and lasts until the job runs again; its first record
 * may come much later, or never.
 */
export class Recoveries {
  readonly #clock: Clock
  /** Newest first; the first may be under way. */
  #recoveries: readonly Recovery[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Those after which the job ran again. */
  get views(): readonly RecoveryView[] {
    return this.#recoveries.flatMap((recovery) => viewOf(recovery))
  }

  /**
   * A failure was noticed. `detectMs`: since the last sign of life; `electMs`: until this leader
   * led. A failure during a recovery extends it.
   */
  begin(cause: string, { detectMs = 0, electMs = 0 } = {}): void {
    if (this.#underWay !== undefined) return
    const recovery: Recovery = {
      cause,
      at: this.#clock.now(),
      startMs: this.#clock.monotonic(),
      detectMs,
      electMs,
      deployMs: undefined,
      checkpointId: undefined,
      runningMs: undefined,
      firstRecordMs: undefined,
    }
    this.#recoveries = [recovery, ...this.#recoveries].slice(0, KEPT)
  }

  deploying(checkpointId: CheckpointId | undefined): void {
    const recovery = this.#underWay
    if (recovery === undefined) return
    recovery.deployMs = this.#clock.monotonic()
    recovery.checkpointId = checkpointId
  }

  running(): void {
    const recovery = this.#underWay
    if (recovery !== undefined) recovery.runningMs = this.#clock.monotonic()
  }

  firstRecord(): void {
    const [newest] = this.#recoveries
    if (newest?.runningMs !== undefined) newest.firstRecordMs ??= this.#clock.monotonic()
  }

  get #underWay(): Recovery | undefined {
    const [newest] = this.#recoveries
    return newest?.runningMs === undefined ? newest : undefined
  }
}

/** An adopted attempt was not deployed: all of its time went into looking for it. */
function viewOf(recovery: Recovery): RecoveryView[] {
  const { at, cause, checkpointId, detectMs, electMs, startMs, runningMs, firstRecordMs } = recovery
  if (runningMs === undefined) return []
  const { deployMs = runningMs } = recovery
  return [
    {
      at,
      cause,
      checkpointId,
      detectMs: Math.round(detectMs),
      electMs: Math.round(electMs),
      scheduleMs: Math.round(deployMs - startMs),
      restoreMs: Math.round(runningMs - deployMs),
      firstRecordMs: firstRecordMs === undefined ? undefined : Math.round(firstRecordMs - runningMs),
    },
  ]
}
