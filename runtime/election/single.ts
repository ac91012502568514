import { invariant } from '#runtime/base/errors'
import type { Election, ElectionState } from './lease.ts'

/**
 * The election of an only candidate (local mode, no Redis): always leading. The commit log still
 * fences.
 */
export class SingleCandidate implements Election {
  #state: ElectionState = { kind: 'standby', leader: undefined }
  #campaigned = false
  #closed = false
  get state(): ElectionState {
    return this.#state
  }
  campaign(floor: number, onChange: (state: ElectionState) => void): void {
    invariant(!this.#campaigned, 'an Election campaigns once')
    this.#campaigned = true
    queueMicrotask(() => {
      if (this.#closed) return
      this.#state = { kind: 'leading', redisEpoch: floor }
      onChange(this.#state)
    })
  }
  close(): Promise<void> {
    this.#closed = true
    return Promise.resolve()
  }
}
