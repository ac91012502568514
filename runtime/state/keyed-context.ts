/**
 * The key that state handles and timers of an operator refer to: that of the record or timer in
 * hand. Set by the operator before it calls user code.
 */
export class KeyedContext<K = unknown> {
  /** Undefined before the first record. Plain field: written once per record. */
  key: K | undefined = undefined

  setKey(key: K): void {
    this.key = key
  }
}
