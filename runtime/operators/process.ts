import { notAPromise } from '#runtime/base/synchronous'
import { bindState } from '#runtime/state/handles'
import { KeyedContext } from '#runtime/state/keyed-context'
import type { StateDescriptors, StateHandles, TypeWitness } from '#runtime/state/descriptors'
import type { StateEvolutions } from '#runtime/state/evolution'
import { tableOfState } from '#runtime/state/state-cells'
import { TimerService, type FiredTimer, type Timers } from '#runtime/state/timer-service'
import { KeyGroupWatermarks, type KeyGroupWatermark } from '#runtime/time/key-group-watermarks'
import { PassThroughOperator } from './pass-through.ts'
import type { OperatorContext } from './stream-operator.ts'

/**
 * What a process step works with. One object for all calls: its fields are those of the record or
 * timer in hand, so keep none of them. State, timers and `out` fail the task when they are used
 * after the call, by a promise or a callback.
 */
export interface ProcessContext<K, O, D extends StateDescriptors> {
  readonly key: K
  /** Event time of the record, -Infinity if it has none; the time of the timer. */
  readonly timestamp: number
  /** Handles of the declared state, for this key. */
  readonly state: StateHandles<D>
  /** Timers of this key. */
  readonly timers: Timers
  /**
   * Emits a record, with the timestamp of what is in hand unless another is given. May be called
   * any number of times.
   */
  readonly out: (value: O, timestamp?: number) => void
}

export interface ProcessFunctions<K, T, O, D extends StateDescriptors> {
  /**
   * State per key: name -> descriptor (`valueState()`, `listState()`, ...). The names are the names
   * in checkpoints.
   */
  readonly state?: D
  /** Says the type of what `out` takes: `emits: type<Alert>()`. */
  readonly emits?: TypeWitness<O>
  /** Like `onTimer` not async: `undefined` has the compiler refuse it. */
  onRecord(value: T, context: ProcessContext<K, O, D>): void | undefined
  /**
   * Event timers fire when the watermark reaches them, before it goes on; processing timers by the
   * wall clock, some tens of milliseconds late.
   */
  onTimer?(timer: FiredTimer<K>, context: ProcessContext<K, O, D>): void | undefined
}

class CurrentContext<K, O, D extends StateDescriptors> extends KeyedContext<K> {
  timestamp = 0
  state!: StateHandles<D>
  timers!: Timers
  out!: (value: O, timestamp?: number) => void
}

/**
 * User code with state and timers per key. The watermark is kept and stored per key group, so that
 * `timers.watermark` does not go back for any key at a restore; timers that are due by it then fire
 * with the first batch or watermark.
 */
export class ProcessOperator<K, T, O, D extends StateDescriptors> extends PassThroughOperator<T, O> {
  readonly #keyOf: (value: T) => K
  readonly #functions: ProcessFunctions<K, T, O, D>
  readonly #current = new CurrentContext<K, O, D>()
  #timers!: TimerService<K>
  #context!: OperatorContext<O>
  #hasSaidDropped = false

  constructor(keyOf: (value: T) => K, functions: ProcessFunctions<K, T, O, D>) {
    super()
    this.#keyOf = keyOf
    this.#functions = functions
  }

  /** The state that the functions declare. */
  get descriptors(): D {
    return this.#functions.state ?? ({} as D)
  }

  get evolutions(): StateEvolutions {
    return Object.fromEntries(
      Object.entries(this.descriptors).map(([name, { evolution }]) => [
        name,
        { table: tableOfState(name), evolution },
      ]),
    )
  }

  override open(context: OperatorContext<O>): void {
    super.open(context)
    this.#context = context
    const { keyed, out } = context
    const now = () => context.clock.now()
    const current = this.#current
    const { restored } = context.listState<KeyGroupWatermark>('watermarks', 'union', () =>
      watermarks.snapshot(),
    )
    const watermarks = new KeyGroupWatermarks(keyed.keyGroups, restored)
    this.#timers = new TimerService(keyed, current, now, watermarks)
    current.timers = this.#timers
    current.state = bindState(this.descriptors, keyed, current, now)
    current.onMisuse = (error) => context.fail(error)
    current.out = (value, timestamp = current.timestamp) => {
      current.keyInHand()
      out.onRecord(notAPromise(value, 'out was given'), timestamp)
    }
  }

  override onRecord(value: T, timestamp: number): void {
    const current = this.#current
    current.timestamp = timestamp
    try {
      current.key = notAPromise(this.#keyOf(value), 'keyBy returned')
      notAPromise(this.#functions.onRecord(value, current as ProcessContext<K, O, D>), 'onRecord returned')
    } catch (cause) {
      throw this.failed(cause, { record: value })
    }
    current.key = undefined
  }

  override onWatermark(watermark: number): void {
    this.#timers.advanceEventTime(watermark, this.#fire)
    this.#sayDropped()
    this.out.onWatermark(watermark)
  }

  onBatchEnd(): void {
    const timers = this.#timers
    if (timers.size === 0) return
    timers.fireEventTimers(this.#fire)
    const next = timers.nextProcessingTime
    if (next === undefined) return
    const now = this.#context.clock.now()
    if (next <= now) timers.advanceProcessingTime(now, this.#fire)
    this.#sayDropped()
  }

  #sayDropped(): void {
    const { dropped } = this.#timers
    if (dropped === 0 || this.#hasSaidDropped) return
    this.#hasSaidDropped = true
    this.#context.logger.warn(
      { droppedTimers: dropped },
      'dropped event timers that were set after the end of event time',
    )
  }

  readonly #fire = (timer: FiredTimer<K>): void => {
    const current = this.#current
    current.key = timer.key
    current.timestamp = timer.time
    try {
      notAPromise(this.#functions.onTimer?.(timer, current as ProcessContext<K, O, D>), 'onTimer returned')
    } catch (cause) {
      throw this.failed(cause, { timer })
    }
    current.key = undefined
  }
}
