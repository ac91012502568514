import { parentPort } from 'node:worker_threads'
import { systemClock } from '#runtime/base/clock'
import { WeirError, toErrorData } from '#runtime/base/errors'
import { createLogger } from '#runtime/base/logger'
import { instantiate } from '#runtime/graph/instantiate'
import { encodeStateFile } from '#runtime/state/snapshot-format'
import { Slot } from '#runtime/task/slot'
import type { FromSlot, SlotAssignment, ToSlot } from '#runtime/task/slot-messages'

/**
 * Entry of a slot's thread: one deployment, then the thread ends with it. User code runs here and
 * nowhere else in the process.
 */
const port = parentPort
if (port === null) throw new WeirError('BUG', 'slot-thread is the entry of a worker thread')

const post = (message: FromSlot, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer)
let slot: Slot | undefined

async function deploy(assignment: SlotAssignment): Promise<void> {
  const logger = createLogger('slot', assignment.logLevel).child({
    slot: assignment.slot,
    attempt: assignment.deployment.attempt,
  })
  try {
    slot = new Slot({
      assignment,
      clock: systemClock,
      random: Math.random,
      logger,
      post,
      instantiate,
      encode: (content) => encodeStateFile(content, { compress: true }),
    })
    await slot.open()
    post({ type: 'ready' })
  } catch (error) {
    post({ type: 'failed', subtask: undefined, error: toErrorData(error) })
  }
}

function handle(message: ToSlot): void {
  if (message.type === 'deploy') return void deploy(message.assignment)
  if (slot === undefined) return
  switch (message.type) {
    case 'start':
      return slot.start()
    case 'adopt':
      return slot.adopt(message.epoch)
    case 'trigger':
      return slot.trigger(message.barrier)
    case 'complete':
      return slot.complete(message.permit)
    case 'abort':
      return slot.abort(message.epoch, message.checkpointId)
    case 'parcel':
      return slot.receive(message.parcel)
    case 'metrics':
      return slot.reportMetrics()
    case 'close':
      return void slot.close().then(() => post({ type: 'closed' }))
  }
}

port.on('message', handle)
process.on('unhandledRejection', (reason) =>
  post({ type: 'failed', subtask: undefined, error: toErrorData(unhandled(reason)) }),
)
process.on('uncaughtException', (error) =>
  post({ type: 'failed', subtask: undefined, error: toErrorData(unhandled(error)) }),
)

/**
 * User code that leaks a promise or throws in a callback of its own fails the task, not the
 * process.
 */
function unhandled(cause: unknown): unknown {
  return cause instanceof WeirError
    ? cause
    : new WeirError(
        'USR_FAILED',
        `Uncaught in the job's code: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      )
}
