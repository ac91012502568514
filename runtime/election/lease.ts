import type { Epoch } from '#runtime/contract/ids'

/**
 * Who may try to lead. An election says only that: whether a leader may decide anything is settled
 * by the commit log (EPOCH_OPEN), so an election may be wrong for a while (two leaders, after Redis
 * lost its data) without harm.
 */
export type ElectionState =
  /** Waiting for the lease; `leader` is the name of the holder, where known. */
  | { readonly kind: 'standby'; readonly leader: string | undefined }
  /**
   * Goes on until `lost`, also while Redis does not answer. `redisEpoch` is the floor for the epoch
   * to open in the log.
   */
  | { readonly kind: 'leading'; readonly redisEpoch: number }
  /**
   * Final: another candidate holds the lease, or the election broke. A new Election may campaign
   * again.
   */
  | { readonly kind: 'lost'; readonly why: string }

export interface Election {
  readonly state: ElectionState
  /**
   * Begins to campaign; once per Election. `floor`: the least epoch to win, one above the log's.
   * The state before is `standby`; `onChange` gets every change from then on, never during this
   * call, and nothing after `close`.
   */
  campaign(floor: number, onChange: (state: ElectionState) => void): void
  /**
   * Releases the lease, so that a standby takes over at once. Idempotent; bounded by the lease's
   * time to live.
   */
  close(): Promise<void>
}

/**
 * What Redis must do for the lease; all three are atomic there. Rejections mean: not reachable,
 * outcome unknown.
 */
export interface LeaseStore {
  /**
   * Takes the free lease, or finds that it is held by this token already (an earlier answer was
   * lost). Every taking counts the epoch up, to at least `floor`.
   */
  acquire(token: string, floor: number): Promise<AcquireAnswer>
  /**
   * Prolongs the own lease. Absent (expired, Redis emptied): retakes it under the same epoch,
   * unless a greater epoch was counted meanwhile.
   */
  renew(token: string, epoch: Epoch): Promise<RenewAnswer>
  /** Gives the lease back if it is the own one, and tells the others. */
  release(token: string): Promise<void>
}
export type AcquireAnswer =
  | { readonly kind: 'acquired'; readonly epoch: Epoch }
  | { readonly kind: 'held'; readonly holder: string; readonly remainingMs: number }
export type RenewAnswer =
  | { readonly kind: 'renewed' }
  | { readonly kind: 'retaken' }
  | { readonly kind: 'foreign'; readonly holder: string }
