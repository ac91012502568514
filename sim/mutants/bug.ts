/** A small change of the product's own lines that breaks one of its rules. */
export interface Bug {
  readonly name: string
  /** The rule that it breaks, in words. */
  readonly breaks: string
  readonly patches: readonly Patch[]
  /**
   * Where no simulation can notice it: the test that does, and why: a second line of defence keeps
   * the bug from doing harm, or nobody in a simulation does what it takes.
   */
  readonly test?: string
  readonly because?: string
}

export interface Patch {
  readonly file: string
  /** Occurs exactly once. */
  readonly find: string
  readonly replace: string
}
