import type { Receiver, SplitChange, SplitNumber } from '#runtime/element/receiver'
import type { OperatorContext, StreamOperator } from './stream-operator.ts'
import { userCodeError, type Given } from './user-code.ts'

/** Base of operators that handle each record for itself: watermarks and idleness go on at once. */
export abstract class PassThroughOperator<I, O> implements StreamOperator<I, O> {
  protected out!: Receiver<O>
  #context!: OperatorContext<O>

  open(context: OperatorContext<O>): void {
    this.out = context.out
    this.#context = context
  }

  /**
   * What user code threw, with the name of this operator and what it was called with. Only the
   * call of the user's function belongs into the `try`: what comes later names itself.
   */
  protected failed(cause: unknown, given?: Given): Error {
    return userCodeError(this.#context, cause, given)
  }

  abstract onRecord(value: I, timestamp: number): void

  onWatermark(watermark: number): void {
    this.out.onWatermark(watermark)
  }

  onIdle(): void {
    this.out.onIdle?.()
  }

  onSplit(split: SplitNumber, change: SplitChange): void {
    this.out.onSplit?.(split, change)
  }
}
