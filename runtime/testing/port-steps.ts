import { type Clock, systemClock } from '#runtime/base/clock'
import type { ConnectorAccess } from '#runtime/storage/connector-access'

/** One call of a port, just before it is made and just after it was answered. */
export interface PortStep {
  /** Such as `disk.rename`. */
  readonly call: string
  readonly moment: 'before' | 'after'
}

/**
 * What happens between two steps; a throw is what the caller of the port gets. A Crash ends the
 * process: nothing that it asks for afterwards is done.
 */
export type Interference = (step: PortStep) => void | Promise<void>

export class Crash extends Error {}

/** The ports of `access`, with `interfere` between any two steps. */
export class SteppedAccess implements ConnectorAccess {
  readonly disk: ConnectorAccess['disk']
  readonly #access: ConnectorAccess
  readonly #interfere: Interference
  readonly #handles = new Set<{ close(): Promise<void> }>()
  #crash: Crash | undefined

  constructor(access: ConnectorAccess, interfere: Interference) {
    this.#access = access
    this.#interfere = interfere
    this.disk = this.#watched('disk', access.disk)
  }

  bucket(name: string): ReturnType<ConnectorAccess['bucket']> {
    return this.#watched('bucket', this.#access.bucket(name))
  }

  /** Closes what a killed process would have left to the system. */
  async release(): Promise<void> {
    for (const handle of this.#handles) await handle.close()
  }

  async #step(step: PortStep): Promise<void> {
    if (this.#crash !== undefined) throw this.#crash
    try {
      await this.#interfere(step)
    } catch (error) {
      if (error instanceof Crash) this.#crash = error
      throw error
    }
  }

  #watched<T extends object>(name: string, port: T): T {
    return new Proxy(port, {
      get: (_, key) => {
        const method: unknown = Reflect.get(port, key)
        if (typeof method !== 'function' || key === 'url')
          return typeof method === 'function' ? method.bind(port) : method
        return async (...args: unknown[]): Promise<unknown> => {
          const call = `${name}.${String(key)}`
          await this.#step({ call, moment: 'before' })
          const result: unknown = await method.apply(port, args)
          const handle = isHandle(result) ? result : undefined
          if (handle !== undefined) this.#handles.add(handle)
          await this.#step({ call, moment: 'after' })
          return handle === undefined ? result : this.#watched('file', handle)
        }
      },
    })
  }
}

function isHandle(value: unknown): value is { close(): Promise<void> } {
  return typeof value === 'object' && value !== null && 'close' in value
}

/** Limits of this length watch what takes real time, such as a write to a disk. */
const PATIENT_MS = 20_000

/** A clock on which every shorter wait is over at once, and has taken as long as it says. */
export function hurriedClock(): Clock {
  let elapsedMs = 0
  return {
    now: () => elapsedMs,
    monotonic: () => elapsedMs,
    after(delayMs, run) {
      if (delayMs >= PATIENT_MS) return systemClock.after(delayMs, run)
      const handle = setImmediate(() => {
        elapsedMs += delayMs
        run()
      })
      return { cancel: () => clearImmediate(handle) }
    },
    soon: (run) => void setImmediate(run),
  }
}
