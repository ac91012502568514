/**
 * Connections between processes of a job, in frames. Control and data connections use the same.
 *
 * N1 A frame is handed over once and whole, in a buffer of its own that the handler may keep or
 *    transfer. Frames of one direction arrive in the order in which they were sent.
 * N2 `onClose` is called exactly once, for whatever reason; nothing is handed over after it.
 * N3 What was sent before a connection is lost may have arrived or not.
 * N4 A connection that was accepted is closed when its first frame is longer than 4 KiB: who has
 *    not said who it is takes no memory.
 * N5 No frame is longer than MAX_FRAME_BYTES.
 */
import { WeirError } from '#runtime/base/errors'

export const MAX_FRAME_BYTES = 256 * 1024 * 1024

export interface Connection {
  /** Address of the other end, for people. */
  readonly remote: string
  readonly closed: boolean
  /**
   * Queues one frame of the parts, which must not change afterwards. After `close` a no-op.
   * @throws {WeirError} BUG when the frame would break N5
   */
  send(...parts: readonly Uint8Array[]): void
  /** Ends the connection after what was sent; no frame is handed over any more. */
  close(): void
  /** Ends the connection at once. */
  destroy(): void
}

export interface ConnectionHandlers {
  /** A connection that was dialled stands. Never called for accepted ones. */
  onOpen?(): void
  onFrame(frame: Uint8Array<ArrayBuffer>): void
  onClose(error: Error | undefined): void
}

export interface Listener {
  readonly port: number
  /** No connection is accepted any more; those that stand are left alone, and not waited for. */
  close(): Promise<void>
}

export interface Transport {
  /** `accept` gives the handlers of a new connection. @throws {WeirError} CFG_INVALID */
  listen(
    at: { readonly host: string; readonly port: number },
    accept: (connection: Connection) => ConnectionHandlers,
  ): Promise<Listener>
  /**
   * Dials `host:port` or `[v6]:port`. Failure is told by `onClose`. @throws {WeirError} CFG_INVALID
   */
  connect(address: string, handlers: ConnectionHandlers): Connection
  /** `ip:port` of every address that a host name stands for. Rejects when it is not known. */
  resolve(address: string): Promise<readonly string[]>
}

/** The length of the frame that `parts` make. @throws {WeirError} BUG when it would break N5 */
export function frameLength(parts: readonly Uint8Array[]): number {
  let length = 0
  for (const part of parts) length += part.byteLength
  if (length > MAX_FRAME_BYTES)
    throw new WeirError('BUG', `Frame of ${length} bytes exceeds the limit of ${MAX_FRAME_BYTES}`)
  return length
}
