import { JobFault } from '#runtime/base/job-fault'
import { DATA_ADVICE, findNoData } from '#runtime/element/plain-data'

/** What a table of keyed state is to its user. The tables' names are part of the stored format. */
export function stateOfTable(table: string): string {
  const name = /^(?:state|expiry):(.*)$/s.exec(table)?.[1]
  return name === undefined ? `its state (${table})` : `state "${name}"`
}

/**
 * Looks at the first value of each kind that goes into one state, so that what no checkpoint can
 * hold fails where it is written. All values of all kinds are looked at when they are encoded
 * (element/batch-codec.ts); here what counts is the cost per record: two comparisons.
 */
export class DataCheck {
  readonly #table: string
  #type = ''
  #prototype: unknown = null

  constructor(table: string) {
    this.#table = table
  }

  /** @throws {JobFault} naming the state and what is not data */
  check(value: unknown): void {
    const type = typeof value
    if (type !== this.#type) this.#look(value)
    else if (type === 'object' && value !== null && Object.getPrototypeOf(value) !== this.#prototype)
      this.#look(value)
  }

  #look(value: unknown): void {
    const flaw = findNoData(value)
    if (flaw !== undefined)
      throw new JobFault(`${stateOfTable(this.#table)} cannot hold ${flaw}. ${DATA_ADVICE}`)
    this.#type = typeof value
    this.#prototype = typeof value === 'object' && value !== null ? Object.getPrototypeOf(value) : null
  }
}
