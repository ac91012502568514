import { sleep, systemClock } from '#runtime/base/clock'
import type { End } from './fault.ts'
import type { Machine } from './machine.ts'
import type { PlannedFault, Round } from './plan.ts'
import type { Stage } from './stage.ts'
import type { Story } from './story.ts'

/** Within it the job completes checkpoints again once the faults have ended. */
export const PROGRESS_LIMIT_MS = 60_000

/** Performs a plan on a stage, and keeps count. */
export class Performance {
  readonly #stage: Stage
  readonly #machine: Machine
  readonly #story: Story
  readonly #progressMs: number[] = []
  readonly #faults = new Map<string, number>()

  constructor(stage: Stage, machine: Machine, story: Story) {
    this.#stage = stage
    this.#machine = machine
    this.#story = story
  }

  /** Faults that were done, by kind. */
  get faults(): ReadonlyMap<string, number> {
    return this.#faults
  }
  /** How long each wait for progress was. */
  get progressMs(): readonly number[] {
    return this.#progressMs
  }

  /** @throws when the job makes no progress after it, or something offends */
  async round({ faults, awaitsProgress, pauseMs }: Round): Promise<void> {
    const done = await Promise.allSettled(faults.map((fault) => this.#perform(fault)))
    for (const it of done) if (it.status === 'rejected') throw it.reason
    if (awaitsProgress) await this.progress()
    await this.#stage.check()
    await sleep(systemClock, pauseMs)
  }

  /** @throws when there is none within PROGRESS_LIMIT_MS */
  async progress(): Promise<void> {
    const ms = await this.#stage.progress(PROGRESS_LIMIT_MS)
    this.#progressMs.push(ms)
    this.#story.tell(`progress after ${Math.round(ms)} ms`)
  }

  async #perform({ kind, fault, afterMs }: PlannedFault): Promise<void> {
    await sleep(systemClock, afterMs)
    const found = kind.need === undefined ? undefined : this.#machine[kind.need]
    if (found !== undefined && 'missing' in found)
      return this.#story.tell(`SKIPPED ${kind.name}: ${found.missing}`)
    this.#story.tell(`${kind.name}: ${fault.text}`)
    this.#faults.set(kind.name, (this.#faults.get(kind.name) ?? 0) + 1)
    const end: End = await fault.begin(this.#stage)
    if (fault.forMs === 0) return
    await sleep(systemClock, fault.forMs)
    await end()
    this.#story.tell(`${kind.name} ends`)
  }
}
