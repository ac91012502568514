import type { Clock } from '#runtime/base/clock'
import { WeirError } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { JobIdentity } from '#runtime/contract/job-options'
import type { RedisConfig } from '#runtime/contract/process-config'
import { SingleElection, type Election } from './election.ts'

export type { Election }

export interface ElectionOptions {
  readonly redis: RedisConfig | undefined
  readonly job: JobIdentity
  /** Of this candidate, for people. */
  readonly id: string
  readonly clock: Clock
  readonly logger: Logger
}

export function openElection(options: ElectionOptions): Election {
  if (options.redis === undefined) return new SingleElection(options.id)
  throw new WeirError('BUG', 'Redis election is not wired yet')
}
