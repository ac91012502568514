/**
 * Entry of a slot's thread: one deployment, then the thread ends with it. User code runs here and
 * nowhere else in the process.
 */
import { parentPort } from 'node:worker_threads'
import { systemClock } from '#runtime/base/clock'
import { WeirError, toErrorData } from '#runtime/base/errors'
import { createLogger } from '#runtime/base/logger'
import { instantiate } from '#runtime/graph/instantiate'
import { encodeStateFile } from '#runtime/state/snapshot-format'
import { Slot } from '#runtime/task/slot'
import type { FromSlot, SlotAssignment, ToSlot } from '#runtime/task/slot-messages'

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

type MessageOf<T extends ToSlot['type']> = Extract<ToSlot, { type: T }>

/** What a deployed slot does about the messages after `deploy`. */
const COMMANDS: {
  readonly [T in Exclude<ToSlot['type'], 'deploy'>]: (deployed: Slot, message: MessageOf<T>) => void
} = {
  start: (deployed) => deployed.start(),
  adopt: (deployed, { epoch }) => deployed.adopt(epoch),
  trigger: (deployed, { barrier }) => deployed.trigger(barrier),
  complete: (deployed, { permit }) => deployed.complete(permit),
  abort: (deployed, { epoch, checkpointId }) => deployed.abort(epoch, checkpointId),
  parcel: (deployed, { parcel }) => deployed.receive(parcel),
  metrics: (deployed) => deployed.reportMetrics(),
  close: (deployed) => void deployed.close().then(() => post({ type: 'closed' })),
}

function handle(message: ToSlot): void {
  if (message.type === 'deploy') return void deploy(message.assignment)
  if (slot === undefined) return
  const command = COMMANDS[message.type] as (deployed: Slot, message: ToSlot) => void
  command(slot, message)
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
