import { sleep, systemClock } from '#runtime/base/clock'
import type { End } from './fault.ts'
import type { Machine } from './machine.ts'
import type { PlannedFault, Round } from './plan.ts'
import type { Story } from './story.ts'

/** Within it the job completes checkpoints again once the faults have ended. */
export const PROGRESS_LIMIT_MS = 60_000

/** What a plan is performed on. */
export interface Scene {
  /** Resolves when the job makes progress, with the milliseconds that it took. */
  readonly progress: (limitMs: number) => Promise<number>
  /** @throws when something offends */
  readonly check: () => Promise<void>
}

/** Performs a plan on a stage, and keeps count. */
export class Performance<S extends Scene> {
  readonly #stage: S
  readonly #machine: Machine
  readonly #limitMs: number
  readonly #story: Story
  readonly #progressMs: number[] = []
  readonly #faults = new Map<string, number>()

  constructor(stage: S, machine: Machine, story: Story, limitMs = PROGRESS_LIMIT_MS) {
    this.#stage = stage
    this.#limitMs = limitMs
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
  async round({ faults, awaitsProgress, pauseMs }: Round<S>): Promise<void> {
    const done = await Promise.allSettled(faults.map((fault) => this.#perform(fault)))
    for (const it of done) if (it.status === 'rejected') throw it.reason
    if (awaitsProgress) await this.progress()
    await this.#stage.check()
    await sleep(systemClock, pauseMs)
  }

  /** @throws when there is none within the limit */
  async progress(): Promise<void> {
    const ms = await this.#stage.progress(this.#limitMs)
    this.#progressMs.push(ms)
    this.#story.tell(`progress after ${Math.round(ms)} ms`)
  }

  async #perform({ kind, fault, afterMs }: PlannedFault<S>): Promise<void> {
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
