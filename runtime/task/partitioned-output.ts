import { notAPromise } from '#runtime/base/synchronous'
import {
  MIN_WATERMARK,
  NO_TIMESTAMP,
  type Receiver,
  type SplitChange,
  type SplitNumber,
} from '#runtime/element/receiver'
import { keyGroupOf, subtaskOfKeyGroup } from '#runtime/element/key-group'
import type { Barrier } from '#runtime/contract/rpc'
import { BATCH_ROWS, type OutputChannel } from './channel.ts'

/**
 * What the end of a chain offers to the task: records go into batches, everything else goes behind
 * them, to every channel.
 */
export interface EdgeOutput extends Receiver {
  /** Sends what is buffered, then the newest watermark. */
  flush(): void
  barrier(barrier: Barrier): void
  end(): void
  isBlocked(): boolean
  /** Records sent so far. */
  readonly sent: number
}

export type Partitioning =
  | { readonly kind: 'forward' | 'rebalance' | 'broadcast' }
  | (HashPartitioning & { readonly kind: 'hash' })

interface HashPartitioning {
  readonly keyOf: (value: any) => unknown
  readonly maxParallelism: number
  /** What the key function threw, or its key that is none, with the names of its step. */
  readonly failed: (cause: unknown, record: unknown) => Error
}

export function createEdgeOutput(partitioning: Partitioning, channels: readonly OutputChannel[]): EdgeOutput {
  const only = channels.length === 1
  switch (partitioning.kind) {
    case 'hash': {
      if (only) return new SingleOutput(channels)
      return new HashOutput(channels, partitioning)
    }
    case 'forward':
      return new SingleOutput(channels)
    case 'rebalance':
      return only ? new SingleOutput(channels) : new RebalanceOutput(channels)
    case 'broadcast':
      return only ? new SingleOutput(channels) : new BroadcastOutput(channels)
  }
}

/**
 * Rows of one channel on their way into a batch. Timestamps are stored only once a record has one.
 */
class BatchBuffer {
  readonly #channel: OutputChannel
  #rows: unknown[] = []
  #timestamps: Float64Array<ArrayBuffer> | undefined

  constructor(channel: OutputChannel) {
    this.#channel = channel
  }

  add(value: unknown, timestamp: number): void {
    const n = this.#rows.push(value)
    if (timestamp !== NO_TIMESTAMP) {
      this.#timestamps ??= new Float64Array(BATCH_ROWS).fill(NO_TIMESTAMP)
      this.#timestamps[n - 1] = timestamp
    }
    if (n === BATCH_ROWS) this.flush()
  }

  flush(): void {
    const count = this.#rows.length
    if (count === 0) return
    const timestamps =
      this.#timestamps === undefined || count === BATCH_ROWS
        ? this.#timestamps
        : this.#timestamps.slice(0, count)
    this.#channel.send({ kind: 'batch', rows: this.#rows, timestamps, count })
    this.#rows = []
    this.#timestamps = undefined
  }
}

abstract class BufferedOutput implements EdgeOutput {
  protected readonly buffers: readonly BatchBuffer[]
  readonly #channels: readonly OutputChannel[]
  #watermark = MIN_WATERMARK
  #sentWatermark = MIN_WATERMARK
  #idle = false
  sent = 0

  constructor(channels: readonly OutputChannel[]) {
    this.#channels = channels
    this.buffers = channels.map((channel) => new BatchBuffer(channel))
  }

  abstract onRecord(value: unknown, timestamp: number): void

  /**
   * Held back until the next flush: a watermark sent later than its records is always right, and
   * batches stay whole.
   */
  onWatermark(watermark: number): void {
    this.#watermark = watermark
    this.#idle = false
  }

  onIdle(): void {
    this.#idle = true
  }

  flush(): void {
    for (const buffer of this.buffers) buffer.flush()
    if (this.#watermark > this.#sentWatermark) {
      this.#sentWatermark = this.#watermark
      for (const channel of this.#channels) channel.send({ kind: 'watermark', watermark: this.#watermark })
    }
    if (this.#idle) {
      this.#idle = false
      for (const channel of this.#channels) channel.send({ kind: 'idle' })
    }
  }

  barrier(barrier: Barrier): void {
    this.flush()
    for (const channel of this.#channels) channel.send({ kind: 'barrier', barrier })
  }

  end(): void {
    this.flush()
    for (const channel of this.#channels) channel.send({ kind: 'end' })
  }

  isBlocked(): boolean {
    for (const channel of this.#channels) if (channel.isBlocked()) return true
    return false
  }
}

class SingleOutput extends BufferedOutput {
  readonly #buffer: BatchBuffer
  constructor(channels: readonly OutputChannel[]) {
    super(channels)
    this.#buffer = this.buffers[0] as BatchBuffer
  }
  onRecord(value: unknown, timestamp: number): void {
    this.sent++
    this.#buffer.add(value, timestamp)
  }
}

class HashOutput extends BufferedOutput {
  readonly #keyOf: (value: any) => unknown
  readonly #maxParallelism: number
  readonly #failed: HashPartitioning['failed']
  constructor(channels: readonly OutputChannel[], { keyOf, maxParallelism, failed }: HashPartitioning) {
    super(channels)
    this.#keyOf = keyOf
    this.#maxParallelism = maxParallelism
    this.#failed = failed
  }
  onRecord(value: unknown, timestamp: number): void {
    let group: number
    try {
      group = keyGroupOf(notAPromise(this.#keyOf(value), 'keyBy returned'), this.#maxParallelism)
    } catch (cause) {
      throw this.#failed(cause, value)
    }
    const target = subtaskOfKeyGroup(group, this.buffers.length, this.#maxParallelism)
    this.sent++
    ;(this.buffers[target] as BatchBuffer).add(value, timestamp)
  }
}

class RebalanceOutput extends BufferedOutput {
  #next = 0
  onRecord(value: unknown, timestamp: number): void {
    const target = this.#next
    this.#next = target + 1 === this.buffers.length ? 0 : target + 1
    this.sent++
    ;(this.buffers[target] as BatchBuffer).add(value, timestamp)
  }
}

class BroadcastOutput extends BufferedOutput {
  onRecord(value: unknown, timestamp: number): void {
    this.sent++
    for (const buffer of this.buffers) buffer.add(value, timestamp)
  }
}

/** Several consumers of one operator's output. */
export class TeeReceiver implements Receiver {
  readonly #targets: readonly Receiver[]
  constructor(targets: readonly Receiver[]) {
    this.#targets = targets
  }
  onRecord(value: unknown, timestamp: number): void {
    for (const target of this.#targets) target.onRecord(value, timestamp)
  }
  onWatermark(watermark: number): void {
    for (const target of this.#targets) target.onWatermark(watermark)
  }
  onIdle(): void {
    for (const target of this.#targets) target.onIdle?.()
  }

  onSplit(split: SplitNumber, change: SplitChange): void {
    for (const target of this.#targets) target.onSplit?.(split, change)
  }
}

/** The output of an operator that nobody consumes. */
export const discard: Receiver = { onRecord() {}, onWatermark() {} }
