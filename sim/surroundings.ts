import type { Logger } from '#runtime/base/logger'
import type { LeaseNotice } from '#runtime/election/lease-loop'
import type { Stores } from '#runtime/storage/stores'
import type { Elections } from './elections.ts'
import type { SimNetwork } from './network.ts'
import type { SimNode } from './node.ts'
import type { Output } from './output.ts'
import type { SimRedis } from './redis.ts'
import type { SlotWatch } from './threads.ts'
import type { World } from './world.ts'

/** What simulated processes find around them. */
export interface Surroundings {
  readonly world: World
  readonly network: SimNetwork
  readonly redis: SimRedis
  readonly elections: Elections
  readonly output: Output
  readonly slotWatch: SlotWatch
  storesOf(node: SimNode, jobUid: string): Stores
  loggerOf(node: SimNode): Logger
  onLeaseNotice(node: SimNode, notice: LeaseNotice): void
  checkEnded(node: SimNode): void
  died(node: SimNode): void
}
