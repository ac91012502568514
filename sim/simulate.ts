import { WeirError } from '#runtime/base/errors'
import { injectFaults } from './faults.ts'
import type { RareState } from './rare-states.ts'
import { playScenario } from './scenario.ts'
import { Simulation } from './simulation.ts'
import type { WorldOptions } from './world.ts'

const FAULTS_UNTIL_MS = 4000
/** Events in one moment of virtual time: a busy moment has hundreds. */
const MOST_AT_ONCE = 50_000
/** By then everything must have ended, whatever happened while there were faults. */
const LIMIT_MS = 240_000

export interface SimulationResult {
  readonly seed: number
  readonly scenario: string
  readonly violations: readonly string[]
  readonly traceHash: string
  readonly virtualMs: number
  readonly reached: readonly (readonly [RareState, number])[]
}

/**
 * One run of the whole system from one seed.
 *
 * @throws {WeirError} BUG when something in the simulation itself is wrong.
 */
export async function simulate(options: WorldOptions): Promise<SimulationResult> {
  const sim = new Simulation(options)
  const { world } = sim
  const onRejection = (reason: unknown): void =>
    world.violate('rejection', `nobody handles: ${textOf(reason)}`)
  process.on('unhandledRejection', onRejection)
  try {
    await play(sim)
    const { violations, traceHash, coverage } = world
    const virtualMs = world.clock.monotonic()
    const { scenario } = sim
    return { seed: options.seed, scenario, violations, traceHash, virtualMs, reached: coverage.all }
  } catch (error) {
    if (error instanceof WeirError) throw error
    throw new WeirError('BUG', `seed ${options.seed}: the simulation failed`, { cause: error })
  } finally {
    process.off('unhandledRejection', onRejection)
  }
}

async function play(sim: Simulation): Promise<void> {
  const { world } = sim
  let ended = false
  const busy = new Busyness(() => world.clock.monotonic())
  injectFaults(sim, FAULTS_UNTIL_MS)
  const playing = playScenario(sim)
    .catch((error: unknown) => world.violate('simulation', textOf(error)))
    .finally(() => {
      ended = true
    })
  await world.clock.runUntil(LIMIT_MS, () => {
    if (busy.isEndless()) world.violate('liveness', `something is busy without end; ${sim.picture}`)
    return ended || world.violations.length > 0
  })
  if (ended) await playing
  else if (world.violations.length === 0)
    world.violate('liveness', `${sim.scenario} did not end within ${LIMIT_MS} ms; ${sim.picture}`)
}

/** Notices who does something again and again without letting time pass. */
class Busyness {
  readonly #now: () => number
  #since = -1
  #events = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** Called after each event. */
  isEndless(): boolean {
    const now = this.#now()
    if (now !== this.#since) this.#events = 0
    this.#since = now
    return ++this.#events > MOST_AT_ONCE
  }
}

const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error)
