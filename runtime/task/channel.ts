/**
 * A channel joins one upstream subtask with one downstream subtask: an ordered, bounded sequence of
 * stream elements. A sender stops for a full channel only with its next batch: watermarks, barriers
 * and ends always pass.
 */
import { messageOf, WeirError } from '#runtime/base/errors'
import type { SubtaskRef } from '#runtime/contract/rpc'
import type { RecordBatch, StreamElement } from '#runtime/element/stream-element'
import { JobFault } from '#runtime/base/job-fault'
import { encodeElement } from '#runtime/element/frame'
import { MAX_FRAME_BYTES } from '#runtime/net/transport'

const MIB = 1024 * 1024

export const BATCH_ROWS = 512
/** Batches that may be on their way to, or waiting at, a receiver. */
export const CHANNEL_CREDITS = 8
/** Encoded bytes that may be unacknowledged; the batch that crosses the limit still goes. */
export const CHANNEL_BYTES = 16 * MIB
/** Target size of an encoded batch; the number of rows follows from the size of the last one. */
const BATCH_BYTES = 4 * MIB
/** A batch of several rows that turns out larger is encoded again in parts. */
const MAX_BATCH_BYTES = 16 * MIB
/** A parcel needs room beside its frame. */
const MAX_RECORD_BYTES = MAX_FRAME_BYTES - MIB

/** The receiving end: elements in order, taken by the task. */
export class InputChannel {
  /** Undefined: taken. */
  readonly #queue: (StreamElement | undefined)[] = []
  #head = 0
  /** Told when a batch has been taken, so that the sender may send another. */
  readonly #returnCredit: () => void
  ended = false

  constructor(returnCredit: () => void) {
    this.#returnCredit = returnCredit
  }

  get length(): number {
    return this.#queue.length - this.#head
  }

  put(element: StreamElement): void {
    this.#queue.push(element)
  }

  take(): StreamElement | undefined {
    const element = this.length === 0 ? undefined : this.#queue[this.#head]
    if (element === undefined) return undefined
    this.#queue[this.#head++] = undefined
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0
      this.#head = 0
    } else if (this.#head > 64) {
      this.#queue.splice(0, this.#head)
      this.#head = 0
    }
    if (element.kind === 'batch') this.#returnCredit()
    return element
  }
}

/**
 * The sending end. `send` always accepts; a task whose channel `isBlocked` takes no more input
 * until it clears.
 */
export interface OutputChannel {
  send(element: StreamElement): void
  isBlocked(): boolean
}

/** Both ends in one thread: elements pass by reference. */
export class LocalOutputChannel implements OutputChannel {
  readonly #target: InputChannel
  constructor(target: InputChannel) {
    this.#target = target
  }
  send(element: StreamElement): void {
    this.#target.put(element)
  }
  isBlocked(): boolean {
    return this.#target.length >= CHANNEL_CREDITS
  }
}

export interface RemoteChannelOptions {
  readonly id: number
  /** Who sends; for errors. */
  readonly from: SubtaskRef
  /** uid of the operator whose records are sent. */
  readonly emitter: string
  readonly post: (frame: Uint8Array) => void
  /** Default 255 MiB: the transport takes no more. */
  readonly maxRecordBytes?: number
}

/**
 * The other end is in another thread or process: encoded frames. On their way are at most as many
 * batches as there are credits, and no batch follows while CHANNEL_BYTES or more are.
 */
export class RemoteOutputChannel implements OutputChannel {
  readonly #options: RemoteChannelOptions
  readonly #waiting: StreamElement[] = []
  /** Sizes of the batches that no credit has come back for, in the order of their sending. */
  readonly #unacknowledged: number[] = []
  #unacknowledgedBytes = 0
  /** Rows of the next batch, as the size of the last one suggests. */
  #rows = 1

  constructor(options: RemoteChannelOptions) {
    this.#options = options
  }

  /** @throws {WeirError} USR_FAILED when a record cannot be encoded or is too large. */
  send(element: StreamElement): void {
    this.#waiting.push(element)
    if (this.#waiting.length === 1) this.#sendWaiting()
  }

  isBlocked(): boolean {
    return this.#waiting.length > 0
  }

  /** For the oldest `count` batches under way. @throws {WeirError} as `send` */
  addCredits(count: number): void {
    for (const sizeBytes of this.#unacknowledged.splice(0, count)) this.#unacknowledgedBytes -= sizeBytes
    this.#sendWaiting()
  }

  #sendWaiting(): void {
    const { id, post } = this.#options
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (next.kind !== 'batch') {
        this.#waiting.shift()
        post(encodeElement(id, next))
      } else if (this.#isFull()) return
      else this.#sendFirstOf(next)
    }
  }

  #isFull(): boolean {
    return this.#unacknowledged.length >= CHANNEL_CREDITS || this.#unacknowledgedBytes >= CHANNEL_BYTES
  }

  /** Of the batch that waits first, as many rows as one frame should have. */
  #sendFirstOf(batch: RecordBatch): void {
    const { frame, count } = this.#encode(batch)
    if (count === batch.count) this.#waiting.shift()
    else this.#waiting[0] = rowsOf(batch, count, batch.count)
    this.#unacknowledged.push(frame.byteLength)
    this.#unacknowledgedBytes += frame.byteLength
    this.#options.post(frame)
  }

  #encode(batch: RecordBatch): { readonly frame: Uint8Array; readonly count: number } {
    for (let count = Math.min(batch.count, this.#rows); ; count = Math.min(this.#rows, count >>> 1)) {
      const frame = this.#tryEncode(batch, count)
      if (frame === undefined) {
        this.#rows = 1
        continue
      }
      const expected = Math.floor((BATCH_BYTES * count) / frame.byteLength)
      this.#rows = Math.max(1, Math.min(BATCH_ROWS, expected))
      if (count === 1) this.#assertFits(frame)
      if (count === 1 || frame.byteLength <= MAX_BATCH_BYTES) return { frame, count }
    }
  }

  /** Undefined: fewer rows may do. Large ones exceed together what a string or buffer can hold. */
  #tryEncode(batch: RecordBatch, count: number): Uint8Array | undefined {
    const { id, from, emitter } = this.#options
    try {
      return encodeElement(id, count === batch.count ? batch : rowsOf(batch, 0, count))
    } catch (cause) {
      if (count > 1) return undefined
      const text = `Operator ${emitter}, subtask ${from.subtask} failed: a record cannot be sent. `
      throw new WeirError('USR_FAILED', text + messageOf(cause), {
        cause,
        context: { ...from, uid: emitter },
        ...(cause instanceof JobFault ? { retry: 'never' } : {}),
      })
    }
  }

  #assertFits({ byteLength }: Uint8Array): void {
    const { from, emitter, maxRecordBytes = MAX_RECORD_BYTES } = this.#options
    if (byteLength <= maxRecordBytes) return
    throw new WeirError(
      'USR_FAILED',
      `Operator ${emitter}, subtask ${from.subtask} failed: a record has ${byteLength} bytes; at most ` +
        `${maxRecordBytes} can be sent to another slot. Emit smaller records, or a reference to the data.`,
      { retry: 'never', context: { ...from, uid: emitter, sizeBytes: byteLength } },
    )
  }
}

/** Rows [from, to) as a batch of their own. */
function rowsOf({ rows, timestamps }: RecordBatch, from: number, to: number): RecordBatch {
  return {
    kind: 'batch',
    rows: rows.slice(from, to),
    timestamps: timestamps?.slice(from, to),
    count: to - from,
  }
}
