/** A seed worth repeating at every change. */
export interface KeptSeed {
  readonly seed: number
  /** Names of fault kinds; absent: all. */
  readonly kinds?: readonly string[]
  readonly rounds: number
  /** What it shows. */
  readonly why: string
}

/** Together under five minutes: each part of what surrounds a job once, then users amid faults. */
export const KEPT_SEEDS: readonly KeptSeed[] = [
  {
    seed: 21,
    kinds: ['kill-at'],
    rounds: 3,
    why: 'finds output that is published before its checkpoint is complete',
  },
  {
    seed: 2,
    kinds: ['rescale', 'upgrade', 'restore', 'fork', 'kill'],
    rounds: 3,
    why: 'users change a job that is being killed',
  },
  {
    seed: 3,
    kinds: ['partition-s3', 'partition-redis', 'partition-rpc', 'partition-data', 'pause'],
    rounds: 3,
    why: 'deposed processes wake up, and what they sent arrives late',
  },
  {
    seed: 4,
    kinds: ['s3-unavailable', 's3-denied', 's3-stop', 's3-kill', 'disk-full', 'term'],
    rounds: 3,
    why: 'the store is away, refuses or is full',
  },
  {
    seed: 5,
    kinds: ['redis-flush', 'redis-stop', 'redis-kill', 'clock-step', 'kill'],
    rounds: 3,
    why: 'elections without Redis, and with wrong clocks',
  },
]
