import type { Election, ElectionState } from '#runtime/election/lease'

/** An election whose outcome a test decides. */
export class ScriptedElection implements Election {
  state: ElectionState = { kind: 'standby', leader: undefined }
  floor = 0
  closed = false
  #onChange: (state: ElectionState) => void = () => undefined

  campaign(floor: number, onChange: (state: ElectionState) => void): void {
    this.floor = floor
    this.#onChange = onChange
  }

  win(): void {
    this.#tell({ kind: 'leading', redisEpoch: this.floor })
  }

  lose(why = 'another candidate holds the lease'): void {
    this.#tell({ kind: 'lost', why })
  }

  see(leader: string): void {
    this.#tell({ kind: 'standby', leader })
  }

  close(): Promise<void> {
    this.closed = true
    return Promise.resolve()
  }

  #tell(state: ElectionState): void {
    if (this.closed) return
    this.state = state
    this.#onChange(state)
  }
}
