import { TestClock } from '#runtime/testing/test-clock'
import { Coverage } from './coverage.ts'
import { Random } from './random.ts'

/** What connectors call; each has its own pace, and its own ways to go wrong. */
export type Service = 'disk' | 'bucket' | 'external'

/** Where wall clocks stand at the start of every run. */
const START_MS = Date.UTC(2030, 0, 1)

export interface WorldOptions {
  readonly seed: number
  /** Receives every line of the story. */
  readonly onTrace?: ((line: string) => void) | undefined
}

/** Time, chance, the story and what went wrong: shared by everything in one simulated run. */
export class World {
  readonly clock = new TestClock(START_MS)
  readonly random: Random
  readonly coverage = new Coverage()
  readonly violations: string[] = []
  /** Faults are injected while it is true. */
  faulty = true
  readonly #troubles = new Map<Service, number>()
  #hash = 0x811c9dc5
  #lines = 0
  readonly #onTrace: ((line: string) => void) | undefined

  constructor(options: WorldOptions) {
    this.random = new Random(options.seed)
    this.#onTrace = options.onTrace
  }

  /** A line of the story; `who` is a process, or what all of them share. */
  tell(who: string, text: string): void {
    const at = (this.clock.monotonic() / 1000).toFixed(3).padStart(8)
    const line = `${at}  ${who.padEnd(10)} ${text}`
    for (let i = 0; i < line.length; i++) this.#hash = Math.imul(this.#hash ^ line.charCodeAt(i), 0x01000193)
    this.#lines++
    this.#onTrace?.(line)
  }

  violate(invariant: string, text: string): void {
    this.violations.push(`${invariant}: ${text}`)
    this.tell('oracle', `VIOLATION of ${invariant}: ${text}`)
  }

  /** The service answers nobody for a while. */
  trouble(service: Service, ms: number): void {
    this.tell(service, `does not answer for ${ms} ms`)
    this.#troubles.set(service, this.clock.monotonic() + ms)
  }

  isTroubled(service: Service): boolean {
    return (this.#troubles.get(service) ?? 0) > this.clock.monotonic()
  }

  heal(): void {
    this.faulty = false
    this.#troubles.clear()
  }

  /** Equal for equal runs. */
  get traceHash(): string {
    return `${this.#lines}-${(this.#hash >>> 0).toString(16).padStart(8, '0')}`
  }
}
