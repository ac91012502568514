import { WeirError } from '#runtime/base/errors'
import { preview } from '#runtime/base/preview'

const MARK = '~side'

/**
 * A second output of a step. Made once, named in an option of the step (`lateTo`, `onBadLine`),
 * read by `getSideOutput`.
 */
export class SideOutput<T> {
  readonly name: string
  /** Type only. */
  declare readonly __record: T

  constructor(name: string) {
    if (typeof name !== 'string' || name === '')
      throw new WeirError('CFG_GRAPH', 'A side output needs a name, for example sideOutput("late").')
    this.name = name
  }

  /**
   * A record of this output as it travels beside the step's main records: plain data, because it
   * may cross processes.
   */
  wrap(value: T): unknown {
    return { [MARK]: this.name, value }
  }

  holds(record: unknown): boolean {
    return typeof record === 'object' && record !== null && MARK in record && record[MARK] === this.name
  }

  unwrap(record: unknown): T {
    return (record as { value: T }).value
  }
}

/** Declares a side output for records of type T. */
export const sideOutput = <T>(name: string): SideOutput<T> => new SideOutput<T>(name)

/** @throws {WeirError} CFG_GRAPH when `given` is none */
export function checkSideOutput(what: string, given: unknown): asserts given is SideOutput<any> {
  if (given instanceof SideOutput) return
  throw new WeirError(
    'CFG_GRAPH',
    `${what} is ${preview(given)}. Expected a side output: const late = sideOutput('late').`,
  )
}
