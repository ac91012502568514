import { assertNever, toErrorData } from '#runtime/base/errors'
import type { Logger } from '#runtime/base/logger'
import type { ConnectorAccess } from '#runtime/storage/connector-access'
import { Slot, type SlotOptions } from './slot.ts'
import type { SlotAssignment, ToSlot } from './slot-messages.ts'

export interface SlotEntryOptions extends Omit<SlotOptions, 'assignment' | 'logger' | 'access'> {
  loggerOf(assignment: SlotAssignment): Logger
  /** Disposed when the slot is closed. */
  accessOf(assignment: SlotAssignment): ConnectorAccess & Disposable
}

/** What a thread does with what its main thread says: one deployment, and then it ends. */
export class SlotEntry {
  readonly #options: SlotEntryOptions
  #slot: Slot | undefined
  #access: Disposable | undefined

  constructor(options: SlotEntryOptions) {
    this.#options = options
  }

  handle(message: ToSlot): void {
    if (message.type === 'deploy') return void this.#deploy(message.assignment)
    if (this.#slot !== undefined) this.#pass(this.#slot, message)
  }

  async #deploy(assignment: SlotAssignment): Promise<void> {
    const { loggerOf, accessOf, ...options } = this.#options
    try {
      const access = accessOf(assignment)
      this.#access = access
      this.#slot = new Slot({ ...options, assignment, logger: loggerOf(assignment), access })
      await this.#slot.open()
      options.post({ type: 'ready' })
    } catch (error) {
      options.post({ type: 'failed', subtask: undefined, error: toErrorData(error) })
    }
  }

  #pass(slot: Slot, message: Exclude<ToSlot, { type: 'deploy' }>): void {
    switch (message.type) {
      case 'start':
        return slot.start()
      case 'adopt':
        return slot.adopt(message.epoch)
      case 'trigger':
        return slot.trigger(message.barrier)
      case 'complete':
        return slot.complete(message.permit)
      case 'abort':
        return slot.abort({ epoch: message.epoch, id: message.checkpointId })
      case 'parcel':
        return slot.receive(message.parcel)
      case 'metrics':
        return slot.reportMetrics()
      case 'close':
        return void this.#close(slot)
      default:
        return assertNever(message)
    }
  }

  async #close(slot: Slot): Promise<void> {
    await slot.close()
    this.#access?.[Symbol.dispose]()
    this.#options.post({ type: 'closed' })
  }
}
