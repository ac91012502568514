import type { Clock } from '#runtime/base/clock'
import { toErrorData } from '#runtime/base/errors'
import type { OperationView } from '#runtime/contract/rest'

const KEPT = 20

/**
 * Savepoints, manual checkpoints and stops that somebody asked for, by trigger id: asking twice
 * with one id is asking once.
 */
export class Operations {
  readonly #clock: Clock
  readonly #onChange: () => void
  #views: OperationView[] = []

  constructor(clock: Clock, onChange: () => void) {
    this.#clock = clock
    this.#onChange = onChange
  }

  /** The newest 20. */
  get views(): readonly OperationView[] {
    return this.#views.slice(0, KEPT)
  }

  find(triggerId: string): OperationView | undefined {
    return this.#views.find((v) => v.triggerId === triggerId)
  }

  /** Starts `work` unless the trigger id is known and has not failed. */
  start(
    triggerId: string,
    type: OperationView['type'],
    work: () => Promise<Partial<OperationView>>,
  ): OperationView {
    const known = this.find(triggerId)
    if (known !== undefined && known.status !== 'Failed') return known
    const view: OperationView = { triggerId, type, status: 'InProgress', startedAt: this.#clock.now() }
    this.#put(view)
    work().then(
      (result) => this.#put({ ...view, ...result, status: 'Completed', completedAt: this.#clock.now() }),
      (error: unknown) =>
        this.#put({ ...view, status: 'Failed', completedAt: this.#clock.now(), error: toErrorData(error) }),
    )
    return view
  }

  #put(view: OperationView): void {
    const views = [view, ...this.#views.filter((v) => v.triggerId !== view.triggerId)]
    // Whoever asked is still to be answered, however many asked since.
    this.#views = views.filter((v, i) => i < KEPT || v.status === 'InProgress')
    this.#onChange()
  }
}
