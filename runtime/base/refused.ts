/** What the compiler names where a value cannot stand: `Why` says why, and what to do. */
export interface Refused<Why extends string> {
  readonly __refused: Why
}
