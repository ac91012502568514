/**
 * From a seed to what will be done, to whom, when and for how long. Pure: the same seed, kinds and
 * number of rounds give the same plan.
 */
import { Random } from '#sim/random'
import type { Fault, FaultKind } from './fault.ts'
import type { Setting } from './setting.ts'
import type { Stage } from './stage.ts'

export interface PlannedFault<S = Stage> {
  readonly kind: FaultKind<S>
  readonly fault: Fault<S>
  /** Since the beginning of its round. */
  readonly afterMs: number
}

/** Faults that may overlap. A round ends when the last of them has. */
export interface Round<S = Stage> {
  readonly faults: readonly PlannedFault<S>[]
  /** Whether the next round waits until the job completes checkpoints again. */
  readonly awaitsProgress: boolean
  /** Before the next round. */
  readonly pauseMs: number
}

export interface Plan<S = Stage> {
  readonly seed: number
  readonly setting: Setting
  readonly rounds: readonly Round<S>[]
}

export interface PlanOptions<S = Stage> {
  readonly seed: number
  /** What is drawn from; not empty. */
  readonly kinds: readonly FaultKind<S>[]
  readonly rounds: number
}

const MOST_FAULTS = 3
const LATEST_START_MS = 2500
const LONGEST_PAUSE_MS = 1500

export function planOf<S = Stage>({ seed, kinds, rounds }: PlanOptions<S>): Plan<S> {
  const random = new Random(seed)
  return {
    seed,
    setting: drawSetting(random.fork()),
    rounds: Array.from({ length: rounds }, () => drawRound(random.fork(), kinds)),
  }
}

function drawSetting(random: Random): Setting {
  const taskManagers = random.between(2, 3)
  const slots = 2
  return {
    input: random.pick(['local', 's3'] as const),
    output: random.pick(['local', 's3'] as const),
    taskManagers,
    slots,
    // From a spare TaskManager to none.
    parallelism: random.between(2, Math.min(4, taskManagers * slots)),
  }
}

function drawRound<S>(random: Random, kinds: readonly FaultKind<S>[]): Round<S> {
  const faults: PlannedFault<S>[] = []
  for (let count = random.between(1, MOST_FAULTS); count > 0; count--) {
    const kind = random.pick(kinds)
    const fault = kind.draw(random.fork())
    const afterMs = random.between(0, LATEST_START_MS)
    const isFree = kind.alone === undefined || faults.every((it) => it.kind.alone !== kind.alone)
    if (isFree) faults.push({ kind, fault, afterMs })
  }
  return {
    faults: faults.toSorted((a, b) => a.afterMs - b.afterMs),
    awaitsProgress: random.chance(0.7),
    pauseMs: random.between(0, LONGEST_PAUSE_MS),
  }
}
