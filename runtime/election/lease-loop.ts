import type { Clock, Timer } from '#runtime/base/clock'
import { assertNever, invariant } from '#runtime/base/errors'
import type { Election, ElectionState, LeaseStore } from './lease.ts'
import {
  initialLease,
  type LeaseAction,
  type LeaseOccurrence,
  type LeaseSettings,
  type LeaseState,
  next,
} from './lease-core.ts'

export type LeaseNotice = Extract<LeaseAction, { type: 'notice' }>['notice']

export interface LeaseLoopOptions {
  readonly store: LeaseStore
  readonly clock: Clock
  readonly random: () => number
  readonly ttlMs: number
  /** `<candidate's name>:<nonce>`: unique for this Election. */
  readonly token: string
  readonly onNotice?: (notice: LeaseNotice) => void
  /**
   * Whether the last command was answered; called when that changes (true at the beginning).
   * `error`: why it was not. The loop asks again by itself.
   */
  readonly onReachable?: (reachable: boolean, error?: unknown) => void
}

/**
 * Runs the lease's core against a store, in this thread. RedisLease runs one on a thread of its
 * own; the simulator runs it with its own store and clock.
 */
export class LeaseLoop implements Election {
  readonly #options: LeaseLoopOptions
  #settings: LeaseSettings | undefined
  #lease: LeaseState
  #state: ElectionState = { kind: 'standby', leader: undefined }
  #onChange: (state: ElectionState) => void = () => undefined
  #timer: Timer | undefined
  #reachable = true
  #inFlight: Promise<unknown> = Promise.resolve()
  #closed: Promise<void> | undefined
  constructor(options: LeaseLoopOptions) {
    this.#options = options
    this.#lease = initialLease(options.clock.monotonic())
  }

  get state(): ElectionState {
    return this.#state
  }

  campaign(floor: number, onChange: (state: ElectionState) => void): void {
    invariant(this.#settings === undefined, 'an Election campaigns once')
    const { ttlMs, token } = this.#options
    this.#settings = { ttlMs, token, floor }
    this.#onChange = onChange
    this.#step({ type: 'wake' })
  }

  /** The holder released or the connection came back: ask at once. */
  hint(): void {
    this.#step({ type: 'hint' })
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#timer?.cancel()
    this.#onChange = () => undefined
    const mayHold = this.#lease.kind === 'leading' || (this.#lease.kind === 'standby' && this.#lease.busy)
    // A release must not overtake an acquire in flight.
    await this.#inFlight
    if (mayHold) await this.#options.store.release(this.#options.token).catch(() => undefined)
  }

  #step(event: LeaseOccurrence): void {
    if (this.#settings === undefined || this.#closed !== undefined) return
    const { clock, random } = this.#options
    const step = next(this.#settings, this.#lease, {
      ...event,
      now: clock.monotonic(),
      random: random(),
    })
    this.#lease = step.state
    if (step.state.kind === 'ended') this.#timer?.cancel()
    for (const action of step.actions) this.#do(action)
  }

  #do(action: LeaseAction): void {
    const { clock, store } = this.#options
    switch (action.type) {
      case 'acquire':
        return this.#send((sentAt) =>
          store
            .acquire(action.token, action.floor)
            .then((answer) =>
              answer.kind === 'held' ? toEvent(answer) : { type: 'acquired', epoch: answer.epoch, sentAt },
            ),
        )
      case 'renew':
        return this.#send((sentAt) =>
          store
            .renew(action.token, action.epoch)
            .then((answer) =>
              answer.kind === 'foreign'
                ? { type: 'foreign', holder: answer.holder }
                : { type: answer.kind, sentAt },
            ),
        )
      case 'wakeAt':
        this.#timer?.cancel()
        this.#timer = clock.after(Math.max(0, action.at - clock.monotonic()), () =>
          this.#step({ type: 'wake' }),
        )
        return
      case 'report':
        this.#state = action.state
        this.#onChange(action.state)
        return
      case 'notice':
        this.#options.onNotice?.(action.notice)
        return
      default:
        assertNever(action)
    }
  }

  #send(command: (sentAt: number) => Promise<LeaseOccurrence>): void {
    const answer = command(this.#options.clock.monotonic()).then(
      (event) => {
        this.#setReachable(true)
        return event
      },
      (error: unknown): LeaseOccurrence => {
        this.#setReachable(false, error)
        return { type: 'unreachable' }
      },
    )
    this.#inFlight = answer.then((event) => this.#step(event))
  }

  #setReachable(reachable: boolean, error?: unknown): void {
    if (reachable === this.#reachable) return
    this.#reachable = reachable
    this.#options.onReachable?.(reachable, error)
  }
}

const toEvent = (answer: { readonly holder: string; readonly remainingMs: number }): LeaseOccurrence => ({
  type: 'held',
  holder: answer.holder,
  remainingMs: answer.remainingMs,
})
