/**
 * Length-prefixed frames on a TCP socket: u32 little-endian length, then that many bytes. The same
 * framing carries control messages and data.
 */
import type { Socket } from 'node:net'
import { WeirError } from '#runtime/base/errors'
import { frameLength, MAX_FRAME_BYTES, type Connection, type ConnectionHandlers } from './transport.ts'

/** Longer first frames of an accepted connection are refused (N4). */
export const MAX_GREETING_BYTES = 4096

const HEADER_BYTES = 4
const KEEP_ALIVE_MS = 5000

export class FrameSocket implements Connection {
  readonly #socket: Socket
  readonly #handlers: ConnectionHandlers
  readonly #header = Buffer.alloc(HEADER_BYTES)
  /** For the next frame. */
  #limitBytes: number
  #headerFilled = 0
  #frame: Uint8Array<ArrayBuffer> | undefined
  #frameFilled = 0
  #closed = false

  /** `firstFrameBytes`: longest first frame that is accepted. */
  constructor(
    socket: Socket,
    handlersOf: (connection: Connection) => ConnectionHandlers,
    firstFrameBytes = MAX_FRAME_BYTES,
  ) {
    this.#socket = socket
    this.#handlers = handlersOf(this)
    this.#limitBytes = firstFrameBytes
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
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
    const length = frameLength(parts)
    const header = Buffer.allocUnsafe(HEADER_BYTES)
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
    while (at < chunk.length && !this.#closed)
      at += this.#frame === undefined ? this.#takeHeader(chunk, at) : this.#takeFrame(this.#frame, chunk, at)
  }

  /** Bytes taken of `chunk` from `at`; so does `#takeFrame`. */
  #takeHeader(chunk: Buffer, at: number): number {
    const n = Math.min(HEADER_BYTES - this.#headerFilled, chunk.length - at)
    chunk.copy(this.#header, this.#headerFilled, at, at + n)
    this.#headerFilled += n
    if (this.#headerFilled === HEADER_BYTES) this.#begin(this.#header.readUInt32LE(0))
    return n
  }

  #begin(length: number): void {
    this.#headerFilled = 0
    if (length > this.#limitBytes) return this.#refuse(length)
    this.#limitBytes = MAX_FRAME_BYTES
    this.#frame = new Uint8Array(length)
    this.#frameFilled = 0
    if (length === 0) this.#handOver(this.#frame)
  }

  #takeFrame(frame: Uint8Array<ArrayBuffer>, chunk: Buffer, at: number): number {
    const n = Math.min(frame.length - this.#frameFilled, chunk.length - at)
    frame.set(chunk.subarray(at, at + n), this.#frameFilled)
    this.#frameFilled += n
    if (this.#frameFilled === frame.length) this.#handOver(frame)
    return n
  }

  #handOver(frame: Uint8Array<ArrayBuffer>): void {
    this.#frame = undefined
    this.#handlers.onFrame(frame)
  }

  #refuse(length: number): void {
    const limit = this.#limitBytes
    const text = `${this.remote} announced a frame of ${length} bytes, the limit is ${limit}: not a Weir peer`
    this.#socket.destroy()
    this.#end(new WeirError('NET_REFUSED', text))
  }
}
