import { describe, expect, test } from 'vitest'
import { NO_TIMESTAMP } from '#runtime/element/receiver'
import type { StreamElement } from '#runtime/element/stream-element'
import { BATCH_ROWS, type OutputChannel } from '#runtime/task/channel'
import { createEdgeOutput } from '#runtime/task/partitioned-output'

class Recorder implements OutputChannel {
  readonly elements: StreamElement[] = []
  blocked = false
  send(element: StreamElement): void {
    this.elements.push(element)
  }
  isBlocked(): boolean {
    return this.blocked
  }
  get rows(): unknown[] {
    return this.elements.flatMap((e) => (e.kind === 'batch' ? e.rows.slice(0, e.count) : []))
  }
  get kinds(): string[] {
    return this.elements.map((e) => e.kind)
  }
}
const recorders = (n: number) => Array.from({ length: n }, () => new Recorder())
const barrier = {
  epoch: 1,
  id: 1,
  base: 0,
  kind: 'checkpoint',
  directory: 'chk/1-1',
  stop: false,
  drain: false,
} as const

describe('createEdgeOutput()', () => {
  test('hash sends equal keys to one channel and loses nothing', () => {
    const channels = recorders(3)
    const output = createEdgeOutput(
      { kind: 'hash', keyOf: (w: string) => w, maxParallelism: 128, failed: (cause) => cause as Error },
      channels,
    )
    const words = Array.from({ length: 1000 }, (_, i) => `w${i % 50}`)
    for (const w of words) output.onRecord(w, NO_TIMESTAMP)
    output.flush()
    const seen = new Map<string, number>()
    for (const [c, channel] of channels.entries())
      for (const row of channel.rows as string[]) expect(seen.set(row, seen.get(row) ?? c).get(row)).toBe(c)
    expect(channels.reduce((n, c) => n + c.rows.length, 0)).toBe(1000)
    expect(output.sent).toBe(1000)
  })

  test('rebalance deals records out in turn', () => {
    const channels = recorders(2)
    const output = createEdgeOutput({ kind: 'rebalance' }, channels)
    for (let i = 0; i < 5; i++) output.onRecord(i, NO_TIMESTAMP)
    output.flush()
    expect(channels.map((c) => c.rows)).toEqual([
      [0, 2, 4],
      [1, 3],
    ])
  })

  test('broadcast gives every channel every record', () => {
    const channels = recorders(2)
    const output = createEdgeOutput({ kind: 'broadcast' }, channels)
    output.onRecord('a', 5)
    output.flush()
    expect(channels.map((c) => c.rows)).toEqual([['a'], ['a']])
  })

  test('a barrier follows every record before it, on every channel', () => {
    const channels = recorders(2)
    const output = createEdgeOutput({ kind: 'rebalance' }, channels)
    output.onRecord('before', NO_TIMESTAMP)
    output.barrier(barrier)
    output.onRecord('after', NO_TIMESTAMP)
    output.flush()
    expect(channels[0]?.kinds).toEqual(['batch', 'barrier'])
    expect(channels[1]?.kinds).toEqual(['barrier', 'batch'])
  })

  test('a watermark is never ahead of the records before it', () => {
    const [channel] = recorders(1)
    const output = createEdgeOutput({ kind: 'forward' }, [channel as Recorder])
    output.onRecord('a', 10)
    output.onWatermark(10)
    for (let i = 0; i < BATCH_ROWS; i++) output.onRecord(i, 11)
    output.onWatermark(11)
    output.flush()
    expect(channel?.kinds).toEqual(['batch', 'batch', 'watermark'])
    expect(channel?.elements.at(-1)).toEqual({ kind: 'watermark', watermark: 11 })
  })

  test('timestamps travel only with records that have one', () => {
    const [channel] = recorders(1)
    const output = createEdgeOutput({ kind: 'forward' }, [channel as Recorder])
    output.onRecord('a', NO_TIMESTAMP)
    output.flush()
    output.onRecord('b', 7)
    output.onRecord('c', NO_TIMESTAMP)
    output.flush()
    const batches = channel?.elements.filter((e) => e.kind === 'batch') ?? []
    expect(batches[0]?.timestamps).toBeUndefined()
    expect([...(batches[1]?.timestamps ?? [])]).toEqual([7, NO_TIMESTAMP])
  })

  test('idleness is told after what came before it, and ends with the next watermark', () => {
    const [channel] = recorders(1)
    const output = createEdgeOutput({ kind: 'forward' }, [channel as Recorder])
    output.onRecord('a', 1)
    output.onIdle?.()
    output.flush()
    output.flush()
    expect(channel?.kinds).toEqual(['batch', 'idle'])
  })

  test('is blocked as soon as one channel is', () => {
    const channels = recorders(2)
    const output = createEdgeOutput({ kind: 'rebalance' }, channels)
    expect(output.isBlocked()).toBe(false)
    ;(channels[1] as Recorder).blocked = true
    expect(output.isBlocked()).toBe(true)
  })
})
