export interface StatefulOptions {
  /**
   * Former uids of this step: its state is found under them when a checkpoint was written before
   * the rename.
   */
  readonly formerly?: readonly string[]
}
