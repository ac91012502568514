import type { Barrier } from '#runtime/contract/rpc'

/**
 * What travels in a channel, in order. `idle`: this channel has no records for now and must not
 * hold back event time; any batch or watermark ends it.
 */
export type StreamElement =
  | RecordBatch
  | { readonly kind: 'watermark'; readonly watermark: number }
  | { readonly kind: 'barrier'; readonly barrier: Barrier }
  | { readonly kind: 'idle' }
  /** Nothing comes after it. */
  | { readonly kind: 'end' }

/**
 * Rows [0, count) with their timestamps; `timestamps` undefined: no row has one. The receiver owns
 * both.
 */
export interface RecordBatch {
  readonly kind: 'batch'
  readonly rows: unknown[]
  readonly timestamps: Float64Array | undefined
  readonly count: number
}
