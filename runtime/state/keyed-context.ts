import { JobFault } from '#runtime/base/job-fault'

/**
 * The key that state handles and timers of an operator refer to: that of the record or timer in
 * hand. Set by the operator before it calls user code.
 */
export class KeyedContext<K = unknown> {
  /** Undefined: no record or timer is in hand. Plain field: written once per record. */
  key: K | undefined = undefined
  /** Is told of a use of state or timers without a key, before it is thrown. */
  onMisuse: (error: Error) => void = () => undefined

  setKey(key: K): void {
    this.key = key
  }

  /** The key in hand. @throws {JobFault} when there is none */
  keyInHand(): K {
    if (this.key === undefined) throw this.#misuse()
    return this.key
  }

  #misuse(): Error {
    const error = new JobFault(
      'State, timers or out were used outside of onRecord and onTimer, in a callback or after an await. ' +
        'They belong to the record or timer in hand: use them before the function returns.',
    )
    this.onMisuse(error)
    return error
  }
}
