/**
 * Who may try to lead. An election gives permission to open an epoch in the commit log and nothing more: the log decides who leads (architecture of the
 * commit log: a deposed leader's next append fails), so an election may be wrong for a while without harm.
 */
export interface Election {
  /** Starts campaigning, once. Callbacks come on the caller's thread. */
  campaign(events: ElectionEvents): void
  /** Gives up the lease, if held, and campaigns again. `lost` is not called. */
  stepDown(): void
  /** Releases the lease, so that a stand-by need not wait for it to run out. Idempotent. */
  close(): Promise<void>
}

export interface ElectionEvents {
  /** Least epoch that the next lease may carry. */
  floor(): number
  /** The lease is held. `electMs`: since the previous holder was seen to lose it; 0 when there was none. */
  leading(lease: { readonly epoch: number; readonly electMs: number }): void
  /** The lease is held by somebody else, or may be. */
  lost(why: string): void
  /** Who holds the lease as far as this candidate knows. */
  observed(leader: string | undefined): void
}

/** For a single candidate: it leads at once and for ever. */
export class SingleElection implements Election {
  readonly #id: string
  #events: ElectionEvents | undefined

  constructor(id: string) {
    this.#id = id
  }

  campaign(events: ElectionEvents): void {
    this.#events = events
    this.stepDown()
  }

  stepDown(): void {
    const events = this.#events
    queueMicrotask(() => {
      if (events === undefined || this.#events !== events) return
      events.observed(this.#id)
      events.leading({ epoch: events.floor(), electMs: 0 })
    })
  }

  async close(): Promise<void> {
    this.#events = undefined
  }
}
