import type { Clock, Timer } from '#runtime/base/clock'
import type { World } from './world.ts'

/** Time does not pass in smaller steps: sums of fractions would never get there. */
const SHORTEST_MS = 0.001

/** What runs in a simulated process. A new one is made at each start. */
export interface Process {
  /** SIGTERM: ends in an orderly way. */
  terminate(): Promise<void>
}

export interface SimNodeOptions {
  readonly name: string
  boot(node: SimNode): Process
  /** It has ended in an orderly way; called before its remains are taken away. */
  onEnded(node: SimNode): void
  onDeath(node: SimNode): void
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
  /** Time that passed without this process's clock (a machine that was suspended). */
  #lostMs = 0
  #frozenUntil = 0
  readonly #onEnd: (() => void)[] = []
  readonly #timers = new Set<() => boolean>()
  readonly #held: { readonly life: number; readonly run: () => void }[] = []
  readonly #boot: (node: SimNode) => Process
  readonly #onEnded: (node: SimNode) => void
  readonly #onDeath: (node: SimNode) => void

  constructor(world: World, options: SimNodeOptions) {
    this.world = world
    this.name = options.name
    this.#boot = options.boot
    this.#onEnded = options.onEnded
    this.#onDeath = options.onDeath
  }

  get alive(): boolean {
    return this.process !== undefined
  }
  get isPaused(): boolean {
    return this.#pauses > 0
  }
  /** Timers of this life that have neither fired nor been cancelled. */
  get pendingTimers(): number {
    return [...this.#timers].filter((isLive) => isLive()).length
  }

  start(): void {
    this.life++
    this.#pauses = 0
    this.#lostMs = 0
    this.#frozenUntil = 0
    this.#timers.clear()
    this.#held.length = 0
    this.world.tell(this.name, `starts (life ${this.life})`)
    this.process = this.#boot(this)
  }

  /** SIGKILL. */
  kill(): void {
    if (!this.alive) return
    this.world.tell(this.name, 'is killed')
    this.#end()
  }

  /** SIGTERM: resolves when the process has ended by itself. */
  async terminate(): Promise<void> {
    const { process, life } = this
    if (process === undefined) return
    this.world.tell(this.name, 'is told to end')
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onEnd.push(resolve)
    // A process that stands still learns of it when it goes on.
    this.deliver(life, () => void process.terminate().then(() => this.#terminated(life)))
    await promise
  }

  #terminated(life: number): void {
    if (life !== this.life) return
    this.world.tell(this.name, 'has ended')
    this.#onEnded(this)
    this.#end()
  }

  #end(): void {
    this.life++
    this.process = undefined
    for (const resolve of this.#onEnd.splice(0)) resolve()
    this.#onDeath(this)
  }

  pause(ms: number): void {
    if (!this.alive) return
    this.world.tell(this.name, `stands still for ${ms} ms`)
    this.#pauses++
    const { life } = this
    this.world.clock.after(ms, () => {
      if (life !== this.life) return
      this.#pauses--
      this.#release()
    })
  }

  /**
   * The whole machine is suspended: as a pause, but the process's monotonic clock stands still too,
   * so that it does not notice. Its wall clock jumps.
   */
  freeze(ms: number): void {
    if (!this.alive || this.frozenMs > 0) return
    this.world.tell(this.name, `is suspended for ${ms} ms`)
    this.#pauses++
    this.#frozenUntil = this.world.clock.monotonic() + ms
    const { life } = this
    this.world.clock.after(ms, () => {
      if (life !== this.life) return
      this.#pauses--
      this.#lostMs += ms
      this.#release()
    })
  }

  /** For how long it will be suspended yet. */
  get frozenMs(): number {
    return Math.max(0, this.#frozenUntil - this.world.clock.monotonic())
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

  /** The clock as this life of the process sees it; `isLive` ends a part of it (a thread). */
  clock(isLive: () => boolean = () => true): Clock {
    const { world, life } = this
    const monotonic = (): number => world.clock.monotonic() - this.#lostMs
    const after = (delayMs: number, run: () => void): Timer => {
      let live = true
      const due = monotonic() + delayMs
      const pending = (): boolean => isLive()
      this.#timers.add(pending)
      const done = (): void => {
        live = false
        this.#timers.delete(pending)
      }
      const fire = (): void => {
        if (!live) return
        const earlyMs = due - monotonic()
        if (earlyMs > SHORTEST_MS) return wait(earlyMs)
        done()
        if (isLive()) run()
      }
      let timer: Timer
      const wait = (ms: number): void => {
        timer = world.clock.after(ms > 0 ? Math.max(ms, SHORTEST_MS) : 0, () => this.deliver(life, fire))
      }
      wait(delayMs)
      return {
        cancel: () => {
          done()
          timer.cancel()
        },
      }
    }
    return {
      now: () => world.clock.now(),
      monotonic,
      after,
      soon: (run) => void after(0, run),
    }
  }

  /** An answer from outside: takes time to get here, and finds the process as it then is. */
  answer<T>(delayMs: number, settle: (value: T) => void, value: T): void {
    const { life } = this
    this.world.clock.after(delayMs, () => this.deliver(life, () => settle(value)))
  }
}
