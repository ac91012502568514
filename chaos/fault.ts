import type { Random } from '#sim/random'
import type { Need } from './machine.ts'
import type { Stage } from './stage.ts'

/** Ends a fault: what was taken away is given back. */
export type End = () => Promise<void> | void

/** `S`: what it is done to. */
export interface Fault<S = Stage> {
  /** What is done, to whom and for how long, for the story. */
  readonly text: string
  /** From its beginning to its end. */
  readonly forMs: number
  /** Does it, and resolves when it is done, with its end. */
  readonly begin: (stage: S) => Promise<End> | End
}

export interface FaultKind<S = Stage> {
  readonly name: string
  /** What is done to the product, one line for `--list`. */
  readonly says: string
  /** Without it the fault is skipped, and the story says why. */
  readonly need?: Need
  /** At most one fault with the same word at a time. */
  readonly alone?: 's3-server' | 'redis-server' | 'disk' | 'user'
  /** Pure but for `random`: nothing happens before `begin`. */
  readonly draw: (random: Random) => Fault<S>
}

export const nothingToEnd: End = () => undefined

/** A time drawn in milliseconds; one in four is long. */
export const lasting = (random: Random, short: Range, long: Range): number => {
  const { from, to } = random.chance(0.25) ? long : short
  return random.between(from, to)
}

interface Range {
  readonly from: number
  readonly to: number
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
