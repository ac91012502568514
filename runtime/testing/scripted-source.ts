import { FixedDiscovery } from '#runtime/connectors/fixed-discovery'
import type { Source, SourceContext, SplitReader } from '#runtime/connectors/source'
import { expectTime } from './checked-call.ts'
import type { PollResult, Receiver } from '#runtime/element/receiver'

/** A value of a test and when its source has it; made by `at`. */
export class TimedValue<T = unknown> {
  readonly atMs: number
  readonly value: T

  constructor(atMs: number, value: T) {
    this.atMs = atMs
    this.value = value
  }
}

/**
 * A value that its source has `atMs` milliseconds of processing time after the start, not at once.
 * Values keep their order: one that stands behind a later one comes with it.
 */
export function at<T>(atMs: number, value: T): TimedValue<T> {
  expectTime('at', atMs, 0)
  return new TimedValue(atMs, value)
}

/**
 * Gives each value as a batch of its own, so that event time goes on after each. One subtask reads
 * all of them.
 */
export function scriptedSource<T>(values: readonly (T | TimedValue<T>)[]): Source<T, string, number> {
  return {
    description: `${values.length} values of a test`,
    bounded: true,
    createDiscovery: () => new FixedDiscovery(['values'], true),
    createReader: (context) => new ScriptedReader(values, context),
  }
}

class ScriptedReader<T> implements SplitReader<T, string, number> {
  readonly #values: readonly (T | TimedValue<T>)[]
  readonly #context: SourceContext
  readonly #startedAt: number
  #hasSplit = false
  #next = 0
  #timer: { cancel(): void } | undefined

  constructor(values: readonly (T | TimedValue<T>)[], context: SourceContext) {
    this.#values = values
    this.#context = context
    this.#startedAt = context.clock.monotonic()
  }

  addSplit(_split: string, position: number | undefined): void {
    this.#hasSplit = true
    this.#next = position ?? 0
  }

  poll(out: Receiver<T>): PollResult {
    if (!this.#hasSplit || this.#next >= this.#values.length) return 'done'
    const next = this.#values[this.#next] as T | TimedValue<T>
    if (!(next instanceof TimedValue)) return this.#emit(next, out)
    const waitMs = this.#startedAt + next.atMs - this.#context.clock.monotonic()
    if (waitMs <= 0) return this.#emit(next.value, out)
    this.#timer ??= this.#context.clock.after(waitMs, () => {
      this.#timer = undefined
      this.#context.wake()
    })
    return 'idle'
  }

  #emit(value: T, out: Receiver<T>): PollResult {
    this.#next++
    out.onRecord(value, -Infinity)
    return 'progressed'
  }

  snapshot(): { split: string; position: number }[] {
    return this.#hasSplit ? [{ split: 'values', position: this.#next }] : []
  }

  close(): void {
    this.#timer?.cancel()
  }
}
