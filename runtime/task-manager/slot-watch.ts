import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { Standstill, SubtaskRef } from '#runtime/contract/rpc'
import type { SlotThread } from './slot-threads.ts'

/** Silence that is worth telling. */
const TOLD_MS = 2000
/** Silence after which nobody waits any longer: no checkpoint and no stop gets past it. */
const GIVEN_UP_MS = 60_000
/** A pause of the whole process is not held against its slots. */
const LONGEST_LOOK_MS = 1000

export interface SlotWatchOptions {
  readonly taskManager: string
  readonly clock: Clock
  readonly logger: Logger
  /** A slot has been silent for too long. */
  onGivenUp(subtask: SubtaskRef | undefined, error: WeirError): void
}

interface Silence {
  readonly thread: SlotThread
  silentMs: number
  subtask: SubtaskRef | undefined
  message: string | undefined
}

/**
 * Notices slots whose thread does not come back from a call: an endless loop, or very much work
 * for one record. Each is asked for something with every heartbeat; what is silent is told, with
 * the operator and the line where it is, and given up after a minute.
 */
export class SlotWatch {
  readonly #options: SlotWatchOptions
  readonly #silences = new Map<number, Silence>()
  #lookedAt: number

  constructor(options: SlotWatchOptions) {
    this.#options = options
    this.#lookedAt = options.clock.monotonic()
  }

  /** These slots are asked now; those that were asked before and have not answered are silent. */
  asked(threads: ReadonlyMap<number, SlotThread>): void {
    const now = this.#options.clock.monotonic()
    const passedMs = Math.min(now - this.#lookedAt, LONGEST_LOOK_MS)
    this.#lookedAt = now
    for (const [slot, thread] of threads) {
      const silence = this.#silences.get(slot)
      if (silence === undefined)
        this.#silences.set(slot, { thread, silentMs: 0, subtask: undefined, message: undefined })
      else this.#grow(slot, silence, passedMs)
    }
  }

  answered(slot: number): void {
    this.#silences.delete(slot)
  }

  /** What is silent for long enough to be told. */
  get standstills(): readonly Standstill[] {
    return [...this.#silences.values()].flatMap(({ message, silentMs }) =>
      message === undefined ? [] : [{ kind: 'operator' as const, forMs: silentMs, message }],
    )
  }

  #grow(slot: number, silence: Silence, passedMs: number): void {
    const before = silence.silentMs
    silence.silentMs += passedMs
    if (before < TOLD_MS && silence.silentMs >= TOLD_MS) void this.#locate(slot, silence)
    if (before < GIVEN_UP_MS && silence.silentMs >= GIVEN_UP_MS) this.#giveUp(slot, silence)
  }

  async #locate(slot: number, silence: Silence): Promise<void> {
    const { taskManager, logger } = this.#options
    const position = await silence.thread.position()
    // It may have answered meanwhile.
    if (this.#silences.get(slot) !== silence) return
    const where = position?.at === undefined ? '' : `; it is in ${position.at}`
    silence.subtask = position && { vertex: position.vertex, subtask: position.subtask }
    silence.message =
      position === undefined
        ? `slot ${slot} of ${taskManager} does not come back from a call of the job's code`
        : `operator ${position.operator}, subtask ${position.subtask}, on ${taskManager} ` +
          `does not come back from a call${where}`
    logger.warn({ slot, ...position }, 'slot does not answer')
  }

  #giveUp(slot: number, { subtask, message }: Silence): void {
    const what = message ?? `slot ${slot} does not answer`
    const text = `Nothing has come back for ${GIVEN_UP_MS / 1000} s: ${what}`
    this.#options.onGivenUp(subtask, new WeirError('USR_FAILED', text, { retry: 'restart-job' }))
  }
}
