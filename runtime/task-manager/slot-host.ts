import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads'
import { systemClock } from '#runtime/base/clock'
import { entryUrl } from '#runtime/base/entry'
import { WeirError, messageOf, toErrorData } from '#runtime/base/errors'
import type { FromSlot, SlotAssignment, ToSlot } from '#runtime/task/slot-messages'

/** A thread whose user code hangs does not hold up a recovery for longer. */
const CLOSE_LIMIT_MS = 200

/**
 * The main thread's handle of a slot's thread. The thread is started ahead of its deployment, so
 * that a deployment finds the runtime loaded; it serves one deployment and is then terminated, so
 * nothing of an attempt can outlive it.
 */
export class SlotHost {
  readonly #worker: Worker
  #listener: ((message: FromSlot) => void) | undefined
  #ended = false
  #deployed = false

  constructor() {
    this.#worker = new Worker(entryUrl('./slot-thread', import.meta.url), { name: 'slot' })
    this.#worker.on('message', (message: FromSlot) => this.#listener?.(message))
    this.#worker.on('error', (error) =>
      this.#end(new WeirError('USR_FAILED', `A slot's thread died: ${messageOf(error)}`, { cause: error })),
    )
    this.#worker.on('exit', (code) =>
      this.#end(
        new WeirError(
          'USR_FAILED',
          `A slot's thread ended with code ${code}; job code must not call process.exit`,
        ),
      ),
    )
  }

  deploy(assignment: SlotAssignment, listener: (message: FromSlot) => void): void {
    this.#listener = listener
    this.#deployed = true
    if (this.#ended)
      return listener({
        type: 'failed',
        subtask: undefined,
        error: toErrorData(new WeirError('USR_FAILED', "A slot's thread died before its deployment")),
      })
    this.#worker.postMessage({ type: 'deploy', assignment } satisfies ToSlot, [
      ...assignment.siblings.values(),
    ])
  }

  send(message: ToSlot, transfer: ArrayBuffer[] = []): void {
    if (!this.#ended) this.#worker.postMessage(message, transfer)
  }

  /** Lets operators close for a moment, then ends the thread whatever it does. */
  async terminate(): Promise<void> {
    if (this.#deployed && !this.#ended) await this.#closeOperators()
    this.#listener = undefined
    this.#ended = true
    await this.#worker.terminate()
  }

  async #closeOperators(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const limit = systemClock.after(CLOSE_LIMIT_MS, resolve)
    this.#listener = (message) => {
      if (message.type === 'closed' || message.type === 'failed') resolve()
    }
    this.send({ type: 'close' })
    await promise
    limit.cancel()
  }

  #end(error: WeirError): void {
    if (this.#ended) return
    this.#ended = true
    this.#listener?.({ type: 'failed', subtask: undefined, error: toErrorData(error) })
  }
}

/** A message port between every two of the slots. */
export function siblingPorts(slots: readonly number[]): Map<number, Map<number, MessagePort>> {
  const ports = new Map(slots.map((slot) => [slot, new Map<number, MessagePort>()]))
  for (const [i, a] of slots.entries())
    for (const b of slots.slice(i + 1)) {
      const { port1, port2 } = new MessageChannel()
      ports.get(a)?.set(b, port1)
      ports.get(b)?.set(a, port2)
    }
  return ports
}
