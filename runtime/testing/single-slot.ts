import { type Clock, systemClock } from '#runtime/base/clock'
import { WeirError, fromErrorData } from '#runtime/base/errors'
import { silentLogger } from '#runtime/base/logger'
import { subtaskKey, type Barrier, type SkippedCounts } from '#runtime/contract/rpc'
import type { BoundPlan } from '#runtime/graph/execution-plan'
import { instancesOf } from '#runtime/graph/instantiate'
import { encodeStateFile } from '#runtime/state/snapshot-format'
import { SystemAccess } from '#runtime/storage/connector-access'
import { Slot } from '#runtime/task/slot'
import type { FromSlot, SlotAssignment } from '#runtime/task/slot-messages'

/** What a job that has ended did not process. */
export type SingleSlotCounts = Pick<SkippedCounts, 'lateDropped' | 'badRecords'>

const TASK_MANAGER = 'test'
const CHECKPOINT = 1

export interface OneSlotOptions {
  readonly parallelism: number
  /** Default: the real one. */
  readonly clock?: Clock
  /** Lets time pass until `isOver`; needed with a clock that does not go by itself. */
  readonly drive?: (isOver: () => boolean) => Promise<void>
}

/**
 * Runs a bounded job to its end in this thread: the real slot with tasks, exchange and operators,
 * without processes and store. One checkpoint at the end commits its sinks.
 * @throws {WeirError} what the job failed with
 */
export async function runInOneSlot(bound: BoundPlan, options: OneSlotOptions): Promise<SingleSlotCounts> {
  const { plan } = bound
  const subtasks = plan.vertices.flatMap((v) =>
    Array.from({ length: v.parallelism }, (_, subtask) => ({ vertex: v.id, subtask })),
  )
  const deployment = {
    attempt: '1.1',
    planHash: plan.hash,
    plan,
    parallelism: options.parallelism,
    // The slot is given the plan as it is bound already.
    module: { name: 'job', source: '', args: {}, sha256: '' },
    places: subtasks.map((ref) => ({ ...ref, taskManager: TASK_MANAGER, slot: 0 })),
    dataAddresses: {},
    sinks: { committedUpTo: 0, savepoints: [] },
  } as const
  const steps = new LastSteps(subtasks.length)
  const slot = slotOf(bound, deployment, {
    clock: options.clock ?? systemClock,
    post: (message) => steps.onMessage(message, slot),
  })
  try {
    await slot.open()
    slot.start()
    await options.drive?.(() => steps.isOver)
    await steps.done
    return steps.counts
  } finally {
    await slot.close()
  }
}

/** All subtasks finish, then all take the checkpoint, then all commit. */
class LastSteps {
  isOver = false
  readonly #count: number
  readonly #done = Promise.withResolvers<void>()
  readonly #seen = { finished: 0, snapshot: 0, committed: 0 }
  readonly #skipped = new Map<string, SingleSlotCounts>()

  constructor(count: number) {
    this.#count = count
    // A job may fail before anybody waits for its end.
    this.#done.promise.catch(() => undefined)
  }

  /** @throws {WeirError} what the job failed with */
  get done(): Promise<void> {
    return this.#done.promise
  }

  get counts(): SingleSlotCounts {
    const all = [...this.#skipped.values()]
    return {
      lateDropped: all.reduce((sum, counts) => sum + counts.lateDropped, 0),
      badRecords: all.reduce((sum, counts) => sum + counts.badRecords, 0),
    }
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
        return this.#fail(fromErrorData(message.error))
      case 'parcel':
        return this.#fail(new WeirError('BUG', 'A single slot sent something to another one.'))
      case 'metrics':
        for (const subtask of message.subtasks) this.#skipped.set(subtaskKey(subtask), subtask)
        return
      default:
        // Tells how far the slot has come, which is nobody's concern here.
        return
    }
  }

  #fail(error: Error): void {
    this.isOver = true
    this.#done.reject(error)
  }

  #next(reached: 'finished' | 'snapshot' | 'committed', slot: Slot): void {
    if (reached === 'finished') slot.trigger(barrier)
    else if (reached === 'snapshot') slot.complete({ checkpointId: CHECKPOINT, epoch: 1 })
    else {
      this.isOver = true
      this.#done.resolve()
    }
  }
}

function slotOf(
  bound: BoundPlan,
  deployment: SlotAssignment['deployment'],
  { clock, post }: { readonly clock: Clock; readonly post: (message: FromSlot) => void },
): Slot {
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
    clock,
    random: () => 0.5,
    logger: silentLogger,
    post,
    instantiate: () => Promise.resolve(instancesOf(bound)),
    encode: (content) => encodeStateFile(content, { compress: true }),
    access: new SystemAccess(undefined, clock),
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
