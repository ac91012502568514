import type { Clock, Timer } from '#runtime/base/clock'
import type { Mutation } from './mutations.ts'
import { Random } from './random.ts'
import { VirtualClock } from './virtual-clock.ts'

export interface WorldOptions {
  readonly seed: number
  readonly mutation?: Mutation | undefined
  /** Receives every line of the trace. */
  readonly onTrace?: (line: string) => void
}

/** Time, chance, the trace and what went wrong: shared by everything in one simulated run. */
export class World {
  readonly clock = new VirtualClock()
  readonly random: Random
  readonly mutation: Mutation | undefined
  readonly violations: string[] = []
  /** Faults are injected while it is true. */
  faulty = true
  #hash = 0x811c9dc5
  #events = 0
  readonly #onTrace: ((line: string) => void) | undefined

  constructor(options: WorldOptions) {
    this.random = new Random(options.seed)
    this.mutation = options.mutation
    this.#onTrace = options.onTrace
  }

  is(mutation: Mutation): boolean {
    return this.mutation === mutation
  }

  trace(text: string): void {
    const line = `${this.clock.monotonic().toFixed(3)} ${text}`
    for (let i = 0; i < line.length; i++) this.#hash = Math.imul(this.#hash ^ line.charCodeAt(i), 0x01000193)
    this.#events++
    this.#onTrace?.(line)
  }

  violate(invariant: string, text: string): void {
    this.violations.push(`${invariant}: ${text}`)
    this.trace(`VIOLATION ${invariant}: ${text}`)
  }

  /** Equal for equal runs. */
  get traceHash(): string {
    return `${this.#events}-${(this.#hash >>> 0).toString(16).padStart(8, '0')}`
  }
}

/** What runs in a simulated process. A new one is made at each start. */
export interface Process {
  onConnected(peer: SimNode): void
  onLost(peer: SimNode): void
  onMessage(peer: SimNode, message: unknown): void
}

/**
 * A process that can crash, come back, and stand still (SIGSTOP): everything that reaches it,
 * timers and answers included, comes through `deliver`, which drops what belongs to an earlier life
 * and holds back what arrives during a pause.
 */
export class SimNode {
  readonly name: string
  readonly world: World
  process: Process | undefined
  life = 0
  #pauses = 0
  readonly #held: { readonly life: number; readonly run: () => void }[] = []
  readonly #boot: (node: SimNode) => Process

  constructor(world: World, name: string, boot: (node: SimNode) => Process) {
    this.world = world
    this.name = name
    this.#boot = boot
  }

  get alive(): boolean {
    return this.process !== undefined
  }

  start(): void {
    this.life++
    this.#pauses = 0
    this.#held.length = 0
    this.world.trace(`${this.name} starts (life ${this.life})`)
    this.process = this.#boot(this)
  }

  crash(): void {
    this.world.trace(`${this.name} crashes`)
    this.life++
    this.process = undefined
  }

  pause(ms: number): void {
    this.world.trace(`${this.name} stands still for ${ms} ms`)
    this.#pauses++
    const { life } = this
    this.world.clock.after(ms, () => {
      if (life !== this.life) return
      this.#pauses--
      this.#release()
    })
  }

  deliver(life: number, run: () => void): void {
    if (life !== this.life || !this.alive) return
    this.#held.push({ life, run })
    this.#release()
  }

  /** In the order of arrival, until the process stands still again. */
  #release(): void {
    while (this.#pauses === 0) {
      const next = this.#held.shift()
      if (next === undefined) return
      if (next.life === this.life && this.alive) next.run()
    }
  }

  /** The clock as this life of the process sees it. */
  clock(): Clock {
    const { world, life } = this
    return {
      now: () => world.clock.now(),
      monotonic: () => world.clock.monotonic(),
      after: (delayMs: number, run: () => void): Timer => {
        let live = true
        const timer = world.clock.after(delayMs, () =>
          this.deliver(life, () => {
            if (live) run()
          }),
        )
        return {
          cancel: () => {
            live = false
            timer.cancel()
          },
        }
      },
    }
  }
}
