import type { Logger } from '#runtime/base/logger'
import type { RedisConfig } from '#runtime/contract/process-config'
import type { Election } from './lease.ts'
import { RedisLease } from './redis-lease.ts'
import { SingleCandidate } from './single.ts'

export interface ElectionOptions {
  /** Absent: there is no other candidate. */
  readonly redis: RedisConfig | undefined
  readonly uid: string
  readonly id: string
  readonly logger: Logger
}

export function openElection({ redis, uid, id, logger }: ElectionOptions): Election {
  return redis === undefined ? new SingleCandidate() : new RedisLease({ redis, uid, id, logger })
}
