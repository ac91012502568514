import { subtaskKey } from '#runtime/contract/rpc'
import type { ExternalSystem } from './external-system.ts'
import { JOB_VERTICES } from './job.ts'
import type { Network } from './network.ts'
import type { Oracle } from './oracle.ts'
import type { SimRedis } from './sim-redis.ts'
import type { SimStore } from './sim-store.ts'
import type { SimNode, World } from './world.ts'

/** What simulated processes and faults find around them. */
export interface Surroundings {
  readonly world: World
  readonly network: Network
  readonly oracle: Oracle
  readonly external: ExternalSystem
  readonly redis: SimRedis
  readonly jobManagers: readonly SimNode[]
  readonly taskManagers: readonly SimNode[]
  readonly nodes: readonly SimNode[]
  /** Process name by `vertex/subtask`. */
  readonly places: Readonly<Record<string, string>>
  readonly recordsPerSource: readonly number[]
  adoptions: number
  node(name: string): SimNode
  isJobManager(node: SimNode): boolean
  storeOf(node: SimNode): SimStore
  /** Until when a process cannot reach the store. */
  reachOf(node: SimNode): { storeBlockedUntil: number }
}

/** One TaskManager after the other takes a subtask of each vertex. */
export function placeSubtasks(taskManagers: readonly SimNode[]): Record<string, string> {
  return Object.fromEntries(
    JOB_VERTICES.flatMap((vertex) =>
      Array.from({ length: vertex.parallelism }, (_, subtask) => [
        subtaskKey({ vertex: vertex.id, subtask }),
        (taskManagers[subtask % taskManagers.length] as SimNode).name,
      ]),
    ),
  )
}
