/**
 * Length-prefixed frames on a TCP socket: u32 little-endian length, then that many bytes. The same
 * framing carries control messages and data.
 */
import type { Socket } from 'node:net'
import { WeirError } from '#runtime/base/errors'
import type { Connection, ConnectionHandlers } from './transport.ts'

/** Longer frames are refused: no peer of Weir sends one. */
export const MAX_FRAME_BYTES = 256 * 1024 * 1024

export class FrameSocket implements Connection {
  readonly #socket: Socket
  readonly #handlers: ConnectionHandlers
  readonly #header = Buffer.alloc(4)
  #headerFilled = 0
  #frame: Uint8Array<ArrayBuffer> | undefined
  #frameFilled = 0
  #closed = false

  constructor(socket: Socket, handlersOf: (connection: Connection) => ConnectionHandlers) {
    this.#socket = socket
    this.#handlers = handlersOf(this)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 5000)
    socket.on('data', (chunk) => this.#take(chunk))
    socket.on('error', (error) => this.#end(error))
    socket.on('close', () => this.#end(undefined))
  }

  get remote(): string {
    return `${this.#socket.remoteAddress ?? '?'}:${this.#socket.remotePort ?? '?'}`
  }

  get closed(): boolean {
    return this.#closed
  }

  send(...parts: readonly Uint8Array[]): void {
    if (this.#closed) return
    let length = 0
    for (const part of parts) length += part.byteLength
    if (length > MAX_FRAME_BYTES)
      throw new WeirError('BUG', `Frame of ${length} bytes exceeds the limit of ${MAX_FRAME_BYTES}`)
    const header = Buffer.allocUnsafe(4)
    header.writeUInt32LE(length, 0)
    this.#socket.cork()
    this.#socket.write(header)
    for (const part of parts) this.#socket.write(part)
    this.#socket.uncork()
  }

  close(): void {
    if (this.#closed) return
    this.#socket.end()
    this.#end(undefined)
  }

  destroy(): void {
    this.#socket.destroy()
    this.#end(undefined)
  }

  #end(error: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#handlers.onClose(error)
  }

  #take(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.#closed) {
      if (this.#frame === undefined) {
        const n = Math.min(4 - this.#headerFilled, chunk.length - at)
        chunk.copy(this.#header, this.#headerFilled, at, at + n)
        this.#headerFilled += n
        at += n
        if (this.#headerFilled < 4) return
        const length = this.#header.readUInt32LE(0)
        this.#headerFilled = 0
        if (length > MAX_FRAME_BYTES) {
          this.#socket.destroy()
          return this.#end(
            new WeirError(
              'NET_REFUSED',
              `${this.remote} announced a frame of ${length} bytes, the limit is ${MAX_FRAME_BYTES}: not a Weir peer`,
            ),
          )
        }
        this.#frame = new Uint8Array(length)
        this.#frameFilled = 0
      }
      const n = Math.min(this.#frame.length - this.#frameFilled, chunk.length - at)
      this.#frame.set(chunk.subarray(at, at + n), this.#frameFilled)
      this.#frameFilled += n
      at += n
      if (this.#frameFilled < this.#frame.length) return
      const frame = this.#frame
      this.#frame = undefined
      this.#handlers.onFrame(frame)
    }
  }
}
