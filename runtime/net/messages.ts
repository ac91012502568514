import { Packr } from 'msgpackr'
import * as z from 'zod'
import { WeirError } from '#runtime/base/errors'
import type { FromJobManager, FromTaskManager } from '#runtime/contract/rpc'
import { fromJobManager, fromTaskManager } from './message-schemas.ts'
import type { Connection } from './transport.ts'

/** Control messages as msgpack maps: self-describing, so that a newer peer may add fields. */
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: false, int64AsType: 'number' })

export function sendMessage(connection: Connection, message: FromJobManager | FromTaskManager): void {
  connection.send(packr.pack(message))
}

/** @throws {WeirError} NET_REFUSED when the frame is not a message of a TaskManager. */
export const decodeFromTaskManager = (frame: Uint8Array): FromTaskManager => decode(fromTaskManager, frame)

/** @throws {WeirError} NET_REFUSED when the frame is not a message of a JobManager. */
export const decodeFromJobManager = (frame: Uint8Array): FromJobManager => decode(fromJobManager, frame)

function decode<M>(schema: z.ZodType<M>, frame: Uint8Array): M {
  const refused = (what: string, cause?: unknown): WeirError =>
    new WeirError('NET_REFUSED', `A frame of ${frame.length} bytes ${what}`, { cause })
  let message: unknown
  try {
    message = packr.unpack(frame)
  } catch (cause) {
    throw refused('is not a control message: not a Weir peer', cause)
  }
  const result = schema.safeParse(message)
  if (result.success) return result.data
  throw refused(`is not a control message of this version: ${z.prettifyError(result.error)}`)
}
