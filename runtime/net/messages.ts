import { Packr } from 'msgpackr'
import type { FromJobManager, FromTaskManager } from '#runtime/contract/rpc'
import { WeirError } from '#runtime/base/errors'
import type { Connection } from './transport.ts'

/** Control messages as msgpack maps: self-describing, so that a newer peer may add fields. */
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: false, int64AsType: 'number' })

export function sendMessage<M extends FromJobManager | FromTaskManager>(
  connection: Connection,
  message: M,
): void {
  connection.send(packr.pack(message))
}

/** @throws {WeirError} NET_REFUSED when the frame is not a message. */
export function decodeMessage<M extends FromJobManager | FromTaskManager>(frame: Uint8Array): M {
  let message: unknown
  try {
    message = packr.unpack(frame)
  } catch (cause) {
    throw new WeirError(
      'NET_REFUSED',
      `A frame of ${frame.length} bytes is not a control message: not a Weir peer`,
      { cause },
    )
  }
  if (typeof message !== 'object' || message === null || !('type' in message))
    throw new WeirError('NET_REFUSED', 'A control message without a type arrived: not a Weir peer')
  return message as M
}
