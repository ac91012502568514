/** Entry of a slot's thread. User code runs here and nowhere else in the process. */
import { parentPort } from 'node:worker_threads'
import { systemClock } from '#runtime/base/clock'
import { WeirError, messageOf, toErrorData } from '#runtime/base/errors'
import { createLogger } from '#runtime/base/logger'
import { instantiate } from '#runtime/graph/instantiate'
import { encodeStateFile } from '#runtime/state/snapshot-format'
import { SystemAccess } from '#runtime/storage/connector-access'
import { SlotEntry } from '#runtime/task/slot-entry'
import type { FromSlot, ToSlot } from '#runtime/task/slot-messages'

const port = parentPort
if (port === null) throw new WeirError('BUG', 'slot-thread is the entry of a worker thread')

const post = (message: FromSlot, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer)
const entry = new SlotEntry({
  clock: systemClock,
  random: Math.random,
  loggerOf: ({ logLevel, slot, deployment }) =>
    createLogger('slot', logLevel).child({ slot, attempt: deployment.attempt }),
  accessOf: ({ s3 }) => new SystemAccess(s3, systemClock),
  post,
  instantiate,
  encode: (content) => encodeStateFile(content, { compress: true }),
})

port.on('message', (message: ToSlot) => entry.handle(message))
process.on('unhandledRejection', (reason) => fail(reason))
process.on('uncaughtException', (error) => fail(error))

/**
 * User code that leaks a promise or throws in a callback of its own fails the task, not the
 * process.
 */
function fail(cause: unknown): void {
  const error =
    cause instanceof WeirError
      ? cause
      : new WeirError('USR_FAILED', `Uncaught in the job's code: ${messageOf(cause)}`, { cause })
  post({ type: 'failed', subtask: undefined, error: toErrorData(error) })
}
