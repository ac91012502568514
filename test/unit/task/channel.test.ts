import { describe, expect, test } from 'vitest'
import { decodeElement } from '#runtime/element/frame'
import type { StreamElement } from '#runtime/element/stream-element'
import { CHANNEL_CREDITS, InputChannel, LocalOutputChannel, RemoteOutputChannel } from '#runtime/task/channel'

const batch = (row: number): StreamElement => ({
  kind: 'batch',
  rows: [row],
  timestamps: undefined,
  count: 1,
})
const watermark = (w: number): StreamElement => ({ kind: 'watermark', watermark: w })

describe('RemoteOutputChannel', () => {
  test('sends at most as many batches as it has credits, and keeps the order when it must wait', () => {
    const frames: Uint8Array[] = []
    const channel = new RemoteOutputChannel(3, (frame) => frames.push(frame))
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
    const frames: Uint8Array[] = []
    const channel = new RemoteOutputChannel(0, (frame) => frames.push(frame))
    for (let i = 0; i < CHANNEL_CREDITS; i++) channel.send(batch(i))
    channel.send(watermark(1))
    expect(frames).toHaveLength(CHANNEL_CREDITS + 1)
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
