import { assertNever, messageOf, WeirError } from '#runtime/base/errors'
import type { Barrier } from '#runtime/contract/rpc'
import { decodeBatch, encodeBatch } from './batch-codec.ts'
import type { StreamElement } from './stream-element.ts'

/**
 * Frames of the data plane between slots: one stream element of one channel. The transport keeps
 * frames whole (shared memory) or prefixes their length (TCP). Little endian; versioned by
 * WIRE_VERSION.
 *
 * | offset | type | meaning |
 * | ------ | ---- | ------- |
 * | 0      | u32  | channel |
 * | 4      | u8   | kind: 0 batch, 1 watermark, 2 barrier, 3 idle, 4 end |
 * | 5      |      | payload: batch-codec bytes / f64 / Barrier as JSON (UTF-8) / none / none |
 */
const FRAME_HEADER_BYTES = 5
const BATCH = 0
const WATERMARK = 1
const BARRIER = 2
const IDLE = 3
const END = 4

export interface Frame {
  readonly channel: number
  readonly element: StreamElement
}

/** @throws {WeirError} USR_FAILED when a record cannot be encoded. */
export function encodeElement(channel: number, element: StreamElement): Uint8Array {
  switch (element.kind) {
    case 'batch':
      return withHeader(
        encodeBatch(element.rows, element.timestamps, element.count, FRAME_HEADER_BYTES),
        channel,
        BATCH,
      )
    case 'watermark': {
      const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + 8)
      bytes.writeDoubleLE(element.watermark, FRAME_HEADER_BYTES)
      return withHeader(bytes, channel, WATERMARK)
    }
    case 'barrier':
      return withHeader(
        Buffer.concat([Buffer.alloc(FRAME_HEADER_BYTES), Buffer.from(JSON.stringify(element.barrier))]),
        channel,
        BARRIER,
      )
    case 'idle':
      return withHeader(Buffer.allocUnsafe(FRAME_HEADER_BYTES), channel, IDLE)
    case 'end':
      return withHeader(Buffer.allocUnsafe(FRAME_HEADER_BYTES), channel, END)
    default:
      return assertNever(element)
  }
}

function withHeader(bytes: Uint8Array, channel: number, kind: number): Uint8Array {
  bytes[0] = channel
  bytes[1] = channel >>> 8
  bytes[2] = channel >>> 16
  bytes[3] = channel >>> 24
  bytes[4] = kind
  return bytes
}

/** The inverse of the first four bytes of `withHeader`. */
function channelOfFrame(bytes: Uint8Array): number {
  return (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0
}

/** @throws {WeirError} NET_REFUSED when the bytes are not a frame of this wire version. */
export function decodeElement(bytes: Uint8Array): Frame {
  if (bytes.length < FRAME_HEADER_BYTES)
    throw malformed(bytes, `expected at least ${FRAME_HEADER_BYTES} bytes`)
  return { channel: channelOfFrame(bytes), element: decodePayload(bytes) }
}

function decodePayload(bytes: Uint8Array): StreamElement {
  const payload = bytes.subarray(FRAME_HEADER_BYTES)
  switch (bytes[4]) {
    case BATCH: {
      const { rows, timestamps } = decodeBatch(payload)
      return { kind: 'batch', rows, timestamps, count: rows.length }
    }
    case WATERMARK:
      if (payload.length !== 8) throw malformed(bytes, 'a watermark has 8 bytes')
      return {
        kind: 'watermark',
        watermark: new DataView(payload.buffer, payload.byteOffset).getFloat64(0, true),
      }
    case BARRIER:
      return { kind: 'barrier', barrier: decodeBarrier(bytes, payload) }
    case IDLE:
      return { kind: 'idle' }
    case END:
      return { kind: 'end' }
    default:
      throw malformed(bytes, `unknown kind ${bytes[4]}`)
  }
}

function decodeBarrier(bytes: Uint8Array, payload: Uint8Array): Barrier {
  try {
    return JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString()) as Barrier
  } catch (error) {
    throw malformed(bytes, `its barrier is not JSON: ${messageOf(error)}`)
  }
}

function malformed(bytes: Uint8Array, why: string): WeirError {
  return new WeirError(
    'NET_REFUSED',
    `Cannot decode a data frame of ${bytes.length} bytes: ${why}. ` +
      'Both sides must speak the same wire version.',
  )
}
