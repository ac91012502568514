import type { Receiver } from '#runtime/element/receiver'
import type { OperatorContext, StreamOperator } from './stream-operator.ts'

/** Base of operators that handle each record for itself: watermarks and idleness go on at once. */
export abstract class PassThroughOperator<I, O> implements StreamOperator<I, O> {
  protected out!: Receiver<O>

  open(context: OperatorContext<O>): void {
    this.out = context.out
  }

  abstract onRecord(value: I, timestamp: number): void

  onWatermark(watermark: number): void {
    this.out.onWatermark(watermark)
  }

  onIdle(): void {
    this.out.onIdle?.()
  }
}
