import type { StreamElement } from '#runtime/element/stream-element'
import { encodeElement } from '#runtime/element/frame'

/**
 * A channel joins one upstream subtask with one downstream subtask: an ordered, bounded sequence of
 * stream elements. Only batches are counted against the bound, so watermarks, barriers and ends
 * always pass.
 */
export const BATCH_ROWS = 512
/** Batches that may be on their way to, or waiting at, a receiver. */
export const CHANNEL_CREDITS = 8

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

/**
 * The other end is in another thread or process: encoded frames, at most as many batches under way
 * as there are credits.
 */
export class RemoteOutputChannel implements OutputChannel {
  readonly #id: number
  readonly #post: (frame: Uint8Array) => void
  readonly #waiting: StreamElement[] = []
  #credits = CHANNEL_CREDITS

  constructor(id: number, post: (frame: Uint8Array) => void) {
    this.#id = id
    this.#post = post
  }

  send(element: StreamElement): void {
    if (this.#waiting.length > 0 || (element.kind === 'batch' && this.#credits === 0))
      this.#waiting.push(element)
    else this.#transmit(element)
  }

  isBlocked(): boolean {
    return this.#waiting.length > 0
  }

  addCredits(count: number): void {
    this.#credits += count
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#credits <= 0 && next.kind === 'batch') return
      this.#waiting.shift()
      this.#transmit(next)
    }
  }

  #transmit(element: StreamElement): void {
    if (element.kind === 'batch') this.#credits--
    this.#post(encodeElement(this.#id, element))
  }
}
