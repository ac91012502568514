import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads'
import { systemClock } from '#runtime/base/clock'
import { entryUrl } from '#runtime/base/entry'
import { WeirError, messageOf, toErrorData } from '#runtime/base/errors'
import { registerUserSource } from '#runtime/base/user-source'
import type { Deployment } from '#runtime/contract/rpc'
import type { FromSlot, SlotAssignment, ToSlot } from '#runtime/task/slot-messages'
import type { SlotThread, SlotThreads } from './slot-threads.ts'
import { positionOf, type ThreadPosition } from './thread-position.ts'

/** A thread whose user code hangs does not hold up a recovery for longer. */
const CLOSE_LIMIT_MS = 200

/**
 * Slots as worker threads of this process. `print` is given what the job's code writes to standard
 * output, `print()` included; the log goes another way.
 */
export const workerSlots = (print: (text: string) => void): SlotThreads => ({
  start: () => new WorkerSlot(print),
  connect: portsBetween,
})

class WorkerSlot implements SlotThread {
  readonly #worker: Worker
  #listener: ((message: FromSlot) => void) | undefined
  #ended = false
  /** Of the deployment, if there was one. */
  #module: Deployment['module'] | undefined

  constructor(print: (text: string) => void) {
    const options = { name: 'slot', stdout: true }
    this.#worker = new Worker(entryUrl('./slot-thread', import.meta.url), options)
    this.#worker.stdout.setEncoding('utf8').on('data', print)
    this.#worker.on('message', (message: FromSlot) => this.#listener?.(message))
    this.#worker.on('error', (error) => this.#end(`A slot's thread died: ${messageOf(error)}`, error))
    this.#worker.on('exit', (code) =>
      this.#end(`A slot's thread ended with code ${code}; job code must not call process.exit`),
    )
  }

  deploy(assignment: SlotAssignment, listener: (message: FromSlot) => void): void {
    this.#listener = listener
    this.#module = assignment.deployment.module
    if (this.#ended) return listener(failed("A slot's thread died before its deployment"))
    const ports = [...assignment.siblings.values()] as MessagePort[]
    this.#worker.postMessage({ type: 'deploy', assignment } satisfies ToSlot, ports)
  }

  send(message: ToSlot, transfer: ArrayBuffer[] = []): void {
    if (!this.#ended) this.#worker.postMessage(message, transfer)
  }

  async position(): Promise<ThreadPosition | undefined> {
    if (this.#ended) return undefined
    // The thread knows the lines of the author's files, but it does not answer.
    if (this.#module !== undefined) registerUserSource(this.#module.name, this.#module.source)
    return await positionOf(this.#worker.threadId)
  }

  async terminate(): Promise<void> {
    if (this.#module !== undefined && !this.#ended) await this.#closeOperators()
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

  #end(message: string, cause?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#listener?.(failed(message, cause))
  }
}

function failed(message: string, cause?: unknown): FromSlot {
  return {
    type: 'failed',
    subtask: undefined,
    error: toErrorData(new WeirError('USR_FAILED', message, { cause })),
  }
}

/** A message channel between every two of the slots. */
function portsBetween(slots: readonly number[]): Map<number, Map<number, MessagePort>> {
  const ports = new Map(slots.map((slot) => [slot, new Map<number, MessagePort>()]))
  for (const [i, a] of slots.entries())
    for (const b of slots.slice(i + 1)) {
      const { port1, port2 } = new MessageChannel()
      ports.get(a)?.set(b, port1)
      ports.get(b)?.set(a, port2)
    }
  return ports
}
