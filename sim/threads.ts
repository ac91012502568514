import type { Logger } from '#runtime/base/logger'
import { bindPlan } from '#runtime/graph/execution-plan'
import { instancesOf } from '#runtime/graph/instantiate'
import { buildGraph, type JobDefinition } from '#runtime/graph/job-definition'
import { encodeStateFile } from '#runtime/state/snapshot-format'
import { SlotEntry } from '#runtime/task/slot-entry'
import type { ExchangeParcel, FromSlot, SlotAssignment, SlotPort, ToSlot } from '#runtime/task/slot-messages'
import type { SlotThread, SlotThreads } from '#runtime/task-manager/slot-threads'
import { Caller, type SimAccess } from './caller.ts'
import type { SimNode } from './node.ts'

export interface SimThreadsOptions {
  readonly node: SimNode
  readonly logger: Logger
  readonly job: JobDefinition
  /** What the connectors of a thread reach. */
  accessOf(caller: Caller): SimAccess
  /** Told of what passes between a TaskManager and its slots. */
  readonly watch: SlotWatch
}

export interface SlotWatch {
  toSlot(node: SimNode, assignment: SlotAssignment, message: ToSlot): void
  fromSlot(node: SimNode, assignment: SlotAssignment, message: FromSlot): void
}

const CLOSE_LIMIT_MS = 200

/** Slots of a simulated TaskManager: the product's own, on the process's virtual time. */
export class SimThreads implements SlotThreads {
  readonly #options: SimThreadsOptions
  readonly #threads = new Set<SimThread>()

  constructor(options: SimThreadsOptions) {
    this.#options = options
  }

  start(): SlotThread {
    const thread: SimThread = new SimThread(this.#options, () => this.#threads.delete(thread))
    this.#threads.add(thread)
    return thread
  }

  /** Started and not ended. */
  get alive(): number {
    return this.#threads.size
  }

  /** A thread that has tasks never does anything again: an endless loop in a user's function. */
  hangOne(): void {
    const { node } = this.#options
    const busy = [...this.#threads].filter((thread) => thread.isDeployed)
    if (busy.length === 0) return
    node.world.tell(node.name, 'one of its slots hangs from now on')
    node.world.coverage.reach('slot hung')
    node.world.random.pick(busy).hang()
  }

  connect(slots: readonly number[]): ReadonlyMap<number, ReadonlyMap<number, SlotPort>> {
    const ports = new Map(slots.map((slot) => [slot, new Map<number, SlotPort>()]))
    for (const [i, a] of slots.entries())
      for (const b of slots.slice(i + 1)) {
        const [one, two] = portPair(this.#options.node)
        ports.get(a)?.set(b, one)
        ports.get(b)?.set(a, two)
      }
    return ports
  }
}

class SimThread implements SlotThread {
  readonly #options: SimThreadsOptions
  readonly #onEnd: () => void
  readonly #entry: SlotEntry
  #assignment: SlotAssignment | undefined
  #listener: ((message: FromSlot) => void) | undefined
  #live = true
  #hangs = false

  constructor(options: SimThreadsOptions, onEnd: () => void) {
    const { node, logger, job } = options
    const runs = (): boolean => this.#live && !this.#hangs
    const caller = new Caller(node, runs)
    this.#options = options
    this.#onEnd = onEnd
    this.#entry = new SlotEntry({
      clock: node.clock(runs),
      random: node.world.random.fork().next,
      loggerOf: () => logger,
      post: (message) => this.#post(message),
      instantiate: (module, plan) =>
        Promise.resolve(instancesOf(bindPlan(buildGraph(job, module.args), plan))),
      accessOf: () => options.accessOf(caller),
      encode: (content) => encodeStateFile(content, { compress: false }),
    })
  }

  get isDeployed(): boolean {
    return this.#live && this.#assignment !== undefined
  }

  hang(): void {
    this.#hangs = true
  }

  deploy(assignment: SlotAssignment, listener: (message: FromSlot) => void): void {
    this.#assignment = assignment
    this.#listener = listener
    this.send({ type: 'deploy', assignment })
  }

  send(message: ToSlot): void {
    const { node, watch } = this.#options
    this.#cross(() => {
      if (this.#hangs) return
      if (this.#assignment !== undefined) watch.toSlot(node, this.#assignment, message)
      this.#entry.handle(message)
    })
  }

  /** What a simulated slot runs cannot be interrupted, so nobody knows where it is. */
  position(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  async terminate(): Promise<void> {
    if (!this.#live) return
    if (this.#assignment !== undefined) await this.#closeOperators()
    if (!this.#live) return
    this.#live = false
    this.#listener = undefined
    this.#onEnd()
  }

  async #closeOperators(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const limit = this.#options.node.clock().after(CLOSE_LIMIT_MS, resolve)
    this.#listener = (message) => {
      if (message.type === 'closed' || message.type === 'failed') resolve()
    }
    this.send({ type: 'close' })
    await promise
    limit.cancel()
  }

  #post(message: FromSlot): void {
    const { node, watch } = this.#options
    this.#cross(() => {
      if (this.#assignment !== undefined) watch.fromSlot(node, this.#assignment, message)
      this.#listener?.(message)
    })
  }

  /** Between two threads of one process: in order, a moment later. */
  #cross(run: () => void): void {
    const { node } = this.#options
    const { life } = node
    node.world.clock.after(0.05, () =>
      node.deliver(life, () => {
        if (this.#live) run()
      }),
    )
  }
}

function portPair(node: SimNode): [SlotPort, SlotPort] {
  const { life } = node
  const listeners: ((parcel: ExchangeParcel) => void)[][] = [[], []]
  const end = (own: number): SlotPort => ({
    postMessage: (parcel) =>
      void node.world.clock.after(0.05, () =>
        node.deliver(life, () => {
          for (const listener of listeners[1 - own] ?? []) listener(parcel)
        }),
      ),
    on: (_event, listener) => listeners[own]?.push(listener),
  })
  return [end(0), end(1)]
}
