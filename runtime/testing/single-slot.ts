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
import type { FromSlot, SlotAssignment } from '#runtime/task/slot-messages'

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
  const deployment = {
    attempt: '1.1',
    planHash: plan.hash,
    plan,
    parallelism,
    module: { ...module, args, sha256: createHash('sha256').update(module.source).digest('hex') },
    places: subtasks.map((ref) => ({ ...ref, taskManager: TASK_MANAGER, slot: 0 })),
    dataAddresses: {},
    sinks: { committedUpTo: 0, savepoints: [] },
  }
  const steps = new LastSteps(subtasks.length)
  const slot = slotOf(deployment, (message) => steps.onMessage(message, slot))
  try {
    await slot.open()
    slot.start()
    await steps.done
  } finally {
    await slot.close()
  }
}

/** All subtasks finish, then all take the checkpoint, then all commit. */
class LastSteps {
  readonly #count: number
  readonly #done = Promise.withResolvers<void>()
  readonly #seen = { finished: 0, snapshot: 0, committed: 0 }

  constructor(count: number) {
    this.#count = count
  }

  /** @throws {WeirError} what the job failed with */
  get done(): Promise<void> {
    return this.#done.promise
  }

  onMessage(message: FromSlot, slot: Slot): void {
    switch (message.type) {
      case 'finished':
      case 'snapshot':
      case 'committed':
        if (++this.#seen[message.type] === this.#count) this.#next(message.type, slot)
        return
      case 'failed':
      case 'snapshotFailed':
        return this.#done.reject(fromErrorData(message.error))
      case 'parcel':
        return this.#done.reject(new WeirError('BUG', 'A single slot sent something to another one.'))
      default:
        // Tells how far the slot has come, which is nobody's concern here.
        return
    }
  }

  #next(reached: 'finished' | 'snapshot' | 'committed', slot: Slot): void {
    if (reached === 'finished') slot.trigger(barrier)
    else if (reached === 'snapshot') slot.complete({ checkpointId: CHECKPOINT, epoch: 1 })
    else this.#done.resolve()
  }
}

function slotOf(deployment: SlotAssignment['deployment'], post: (message: FromSlot) => void): Slot {
  return new Slot({
    assignment: {
      job: { cluster: 'test', namespace: 'default', name: 'test', uid: 'test' },
      taskManager: TASK_MANAGER,
      slot: 0,
      logLevel: 'Error',
      s3: undefined,
      lineage: 'succession',
      deployment,
      restore: {},
      siblings: new Map(),
    },
    clock: systemClock,
    random: () => 0.5,
    logger: silentLogger,
    post,
    instantiate,
    encode: (content) => encodeStateFile(content, { compress: true }),
    access: new SystemAccess(undefined, systemClock),
  })
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
