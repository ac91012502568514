import { describe, expect, test } from 'vitest'
import { decodeElement } from '#runtime/element/frame'
import type { StreamElement } from '#runtime/element/stream-element'
import {
  BATCH_ROWS,
  CHANNEL_BYTES,
  CHANNEL_CREDITS,
  InputChannel,
  LocalOutputChannel,
  RemoteOutputChannel,
} from '#runtime/task/channel'

const batch = (row: number): StreamElement => ({
  kind: 'batch',
  rows: [row],
  timestamps: undefined,
  count: 1,
})
const batchOf = (rows: unknown[], timestamps?: Float64Array<ArrayBuffer>): StreamElement => ({
  kind: 'batch',
  rows,
  timestamps,
  count: rows.length,
})
const watermark = (w: number): StreamElement => ({ kind: 'watermark', watermark: w })

const MIB = 1024 * 1024
const PAD = 'x'.repeat(50_000)
const from = { vertex: 'fan', subtask: 2 }

/** A channel and the frames that it has sent. */
function remote(given: { id?: number; maxRecordBytes?: number } = {}) {
  const frames: Uint8Array[] = []
  const channel = new RemoteOutputChannel({
    id: 0,
    from,
    emitter: 'split',
    post: (frame) => frames.push(frame),
    ...given,
  })
  return { channel, frames }
}

/** Their batches; whoever reads them gives a credit for each. */
function batchesIn(frames: readonly Uint8Array[]) {
  return frames.flatMap((frame) => {
    const { element } = decodeElement(frame)
    return element.kind === 'batch' ? [element] : []
  })
}

describe('RemoteOutputChannel', () => {
  test('sends at most as many batches as it has credits, and keeps the order when it must wait', () => {
    const { channel, frames } = remote({ id: 3 })
    for (let i = 0; i < CHANNEL_CREDITS + 1; i++) channel.send(batch(i))
    channel.send(watermark(9))
    expect(frames).toHaveLength(CHANNEL_CREDITS)
    expect(channel.isBlocked()).toBe(true)
    channel.addCredits(1)
    expect(channel.isBlocked()).toBe(false)
    const elements = frames.map((f) => decodeElement(f))
    expect(elements.map((e) => e.channel)).toEqual(frames.map(() => 3))
    expect(elements.map((e) => (e.element.kind === 'batch' ? e.element.rows[0] : e.element.kind))).toEqual([
      ...Array(CHANNEL_CREDITS + 1).keys(),
      'watermark',
    ])
  })

  test('lets barriers and watermarks pass without credit when nothing waits before them', () => {
    const { channel, frames } = remote()
    for (let i = 0; i < CHANNEL_CREDITS; i++) channel.send(batch(i))
    channel.send(watermark(1))
    expect(frames).toHaveLength(CHANNEL_CREDITS + 1)
  })

  test('cuts batches of large records into frames of a few MiB, in order, with their timestamps', () => {
    const { channel, frames } = remote()
    const rows = Array.from({ length: BATCH_ROWS }, (_, n) => ({ n, pad: PAD }))
    channel.send(
      batchOf(
        rows,
        Float64Array.from(rows, ({ n }) => n * 10),
      ),
    )
    channel.send(watermark(9))
    for (let read = 0; channel.isBlocked(); read++) {
      expect(read).toBeLessThan(frames.length)
      channel.addCredits(1)
    }
    const got = batchesIn(frames)
    expect(Math.max(...frames.map((f) => f.byteLength))).toBeLessThan(5 * MIB)
    expect(got.flatMap((b) => b.rows.map((row) => (row as (typeof rows)[0]).n))).toEqual(
      rows.map(({ n }) => n),
    )
    expect(got.flatMap((b) => [...(b.timestamps ?? [])])).toEqual(rows.map(({ n }) => n * 10))
    expect(decodeElement(frames.at(-1) as Uint8Array).element.kind).toBe('watermark')
  })

  test('encodes a batch in parts when its rows are much larger than those before', () => {
    const { channel, frames } = remote()
    channel.send(batchOf(Array.from({ length: BATCH_ROWS }, () => 1)))
    channel.addCredits(CHANNEL_CREDITS)
    frames.length = 0
    channel.send(batchOf(Array.from({ length: 32 }, () => 'x'.repeat(MIB))))
    expect(Math.max(...frames.map((f) => f.byteLength))).toBeLessThan(5 * MIB)
  })

  test('goes back to whole batches once records are small again', () => {
    const { channel, frames } = remote()
    channel.send(batchOf(['x'.repeat(5 * MIB)]))
    channel.addCredits(1)
    channel.send(batchOf([1]))
    channel.send(batchOf(Array.from({ length: BATCH_ROWS }, (_, i) => i)))
    expect(batchesIn(frames).map((b) => b.count)).toEqual([1, 1, BATCH_ROWS])
  })

  test('is blocked while more bytes than it may have are under way, however few batches', () => {
    const { channel, frames } = remote()
    const sent = () => frames.reduce((sum, f) => sum + f.byteLength, 0)
    const rows = Array.from({ length: 40 }, (_, i) => i + 'x'.repeat(MIB))
    channel.send(batchOf(rows))
    expect(channel.isBlocked()).toBe(true)
    expect(frames.length).toBeLessThan(CHANNEL_CREDITS)
    expect(sent()).toBeLessThan(CHANNEL_BYTES + 5 * MIB)
    const before = sent()
    channel.addCredits(frames.length)
    expect(sent() - before).toBeLessThan(CHANNEL_BYTES + 5 * MIB)
    while (channel.isBlocked()) channel.addCredits(1)
    expect(batchesIn(frames).flatMap((b) => b.rows.map((row) => Number.parseInt(String(row), 10)))).toEqual([
      ...rows.keys(),
    ])
  })

  test('refuses a record that is too large to be sent, naming the vertex and the size', () => {
    const { channel, frames } = remote({ maxRecordBytes: MIB })
    channel.send(batchOf(['small']))
    const refused = () => channel.send(batchOf(['x'.repeat(2 * MIB)]))
    expect(refused).toThrow(expect.objectContaining({ code: 'USR_FAILED', retry: 'never' }))
    expect(frames).toHaveLength(1)
    const { channel: other } = remote({ maxRecordBytes: MIB })
    expect(() => other.send(batchOf(['small', 'x'.repeat(20 * MIB)]))).toThrow(
      /^Operator split, subtask 2 failed: a record has 209715\d\d bytes; at most 1048576 can/,
    )
  })

  test('names the operator whose record cannot be encoded; no restart is tried', () => {
    const { channel } = remote()
    const error = expect.objectContaining({ code: 'USR_FAILED', retry: 'never' })
    expect(() => channel.send(batchOf([{ ok: 1 }, { of: Symbol('s') }]))).toThrow(error)
    expect(() => remote().channel.send(batchOf([{ of: Symbol('s') }]))).toThrow(
      /^Operator split, subtask 2 failed: a record cannot be sent. .*a symbol at \.of/,
    )
  })
})

describe('InputChannel', () => {
  test('gives elements in order and a credit for each batch taken', () => {
    let credits = 0
    const channel = new InputChannel(() => credits++)
    for (let i = 0; i < 200; i++) channel.put(i % 2 === 0 ? batch(i) : watermark(i))
    for (let i = 0; i < 200; i++) {
      const element = channel.take()
      expect(
        element?.kind === 'batch' ? element.rows[0] : element?.kind === 'watermark' && element.watermark,
      ).toBe(i)
    }
    expect(channel.take()).toBeUndefined()
    expect(credits).toBe(100)
  })
})

test('a local channel blocks its sender once the receiver holds enough batches', () => {
  const input = new InputChannel(() => {})
  const output = new LocalOutputChannel(input)
  for (let i = 0; i < CHANNEL_CREDITS; i++) output.send(batch(i))
  expect(output.isBlocked()).toBe(true)
  input.take()
  expect(output.isBlocked()).toBe(false)
})
