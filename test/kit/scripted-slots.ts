import type { FromSlot, SlotAssignment, SlotPort, ToSlot } from '#runtime/task/slot-messages'
import type { SlotThread, SlotThreads } from '#runtime/task-manager/slot-threads'

/** A slot's thread that runs nothing: a test says what it says. */
export class ScriptedSlot implements SlotThread {
  assignment: SlotAssignment | undefined
  readonly received: ToSlot[] = []
  terminated = false
  #listener: ((message: FromSlot) => void) | undefined
  readonly #onDeploy: (slot: ScriptedSlot) => void
  readonly #terminating: () => Promise<void>

  constructor(onDeploy: (slot: ScriptedSlot) => void, terminating: () => Promise<void>) {
    this.#onDeploy = onDeploy
    this.#terminating = terminating
  }

  deploy(assignment: SlotAssignment, listener: (message: FromSlot) => void): void {
    this.assignment = assignment
    this.#listener = listener
    this.#onDeploy(this)
  }

  send(message: ToSlot): void {
    this.received.push(message)
  }

  position(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  async terminate(): Promise<void> {
    await this.#terminating()
    this.terminated = true
    this.#listener = undefined
  }

  say(message: FromSlot): void {
    this.#listener?.(message)
  }

  last<T extends ToSlot['type']>(type: T): Extract<ToSlot, { type: T }> | undefined {
    return this.received.findLast((m): m is Extract<ToSlot, { type: T }> => m.type === type)
  }
}

export class ScriptedSlots implements SlotThreads {
  readonly started: ScriptedSlot[] = []
  /** Whether a slot that is deployed says at once that it is ready. */
  isQuick = true
  /** What the end of a thread waits for. */
  terminating: Promise<void> = Promise.resolve()

  start(): SlotThread {
    const slot = new ScriptedSlot(
      (deployed) => {
        if (this.isQuick) deployed.say({ type: 'ready' })
      },
      () => this.terminating,
    )
    this.started.push(slot)
    return slot
  }

  connect(slots: readonly number[]): ReadonlyMap<number, ReadonlyMap<number, SlotPort>> {
    return new Map(slots.map((slot) => [slot, new Map()]))
  }

  /** Those of the deployment under way, by slot. */
  get deployed(): readonly ScriptedSlot[] {
    return this.started.filter((s) => s.assignment !== undefined && !s.terminated)
  }
}
