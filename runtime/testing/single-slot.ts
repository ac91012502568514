import { createHash } from 'node:crypto'
import { systemClock } from '#runtime/base/clock'
import { WeirError, fromErrorData } from '#runtime/base/errors'
import { silentLogger } from '#runtime/base/logger'
import type { Barrier } from '#runtime/contract/rpc'
import { buildPlan } from '#runtime/graph/execution-plan'
import { buildGraph } from '#runtime/graph/job-definition'
import { loadJobModule, type JobModule } from '#runtime/graph/load-module'
import { instantiate } from '#runtime/graph/instantiate'
import { encodeStateFile } from '#runtime/state/snapshot-format'
import { SystemAccess } from '#runtime/storage/connector-access'
import { Slot } from '#runtime/task/slot'
import type { FromSlot } from '#runtime/task/slot-messages'

export interface SingleSlotOptions {
  readonly args?: Readonly<Record<string, unknown>>
  /** All subtasks run in the one slot, on this thread. Default 1. */
  readonly parallelism?: number
}

const TASK_MANAGER = 'test'
const CHECKPOINT = 1

/**
 * Runs a bounded job to its end in this thread: the real slot with tasks, exchange and operators,
 * without processes and store. One checkpoint at the end commits its sinks.
 * @throws {WeirError} what the job failed with
 */
export async function runBounded(module: JobModule, options: SingleSlotOptions = {}): Promise<void> {
  const { args = {}, parallelism = 1 } = options
  const plan = buildPlan(buildGraph(await loadJobModule(module), args), { parallelism, maxParallelism: 128 })
  const subtasks = plan.vertices.flatMap((v) =>
    Array.from({ length: v.parallelism }, (_, subtask) => ({ vertex: v.id, subtask })),
  )
  const counts = { finished: 0, snapshots: 0, committed: 0 }
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onMessage = (message: FromSlot): void => {
    switch (message.type) {
      case 'finished':
        if (++counts.finished === subtasks.length) slot.trigger(barrier)
        break
      case 'snapshot':
        if (++counts.snapshots === subtasks.length) slot.complete({ checkpointId: CHECKPOINT, epoch: 1 })
        break
      case 'committed':
        if (++counts.committed === subtasks.length) resolve()
        break
      case 'failed':
      case 'snapshotFailed':
        reject(fromErrorData(message.error))
        break
      case 'parcel':
        reject(new WeirError('BUG', 'A single slot sent something to another one.'))
        break
      case 'opened':
      case 'ready':
      case 'closed':
      case 'firstRecord':
      case 'metrics':
        break
    }
  }
  const slot = new Slot({
    assignment: {
      job: { cluster: 'test', namespace: 'default', name: 'test', uid: 'test' },
      taskManager: TASK_MANAGER,
      slot: 0,
      logLevel: 'Error',
      s3: undefined,
      lineage: 'succession',
      deployment: {
        attempt: '1.1',
        planHash: plan.hash,
        plan,
        parallelism,
        module: { ...module, args, sha256: createHash('sha256').update(module.source).digest('hex') },
        places: subtasks.map((ref) => ({ ...ref, taskManager: TASK_MANAGER, slot: 0 })),
        dataAddresses: {},
        sinks: { committedUpTo: 0, savepoints: [] },
      },
      restore: {},
      siblings: new Map(),
    },
    clock: systemClock,
    random: () => 0.5,
    logger: silentLogger,
    post: onMessage,
    instantiate,
    encode: (content) => encodeStateFile(content, { compress: true }),
    access: new SystemAccess(undefined, systemClock),
  })
  try {
    await slot.open()
    slot.start()
    await promise
  } finally {
    await slot.close()
  }
}

const barrier: Barrier = {
  epoch: 1,
  id: CHECKPOINT,
  base: 0,
  kind: 'checkpoint',
  directory: 'chk/1-1',
  stop: false,
  drain: false,
}
