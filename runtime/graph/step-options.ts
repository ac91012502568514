import type { EvolutionOptions } from '#runtime/state/evolution'

export interface StatefulOptions {
  /**
   * Former uids of this step: its state is found under them when a checkpoint was written before
   * the rename.
   */
  readonly formerly?: readonly string[]
}

/** Of a step that keeps a value of the job's code per key. */
export interface EvolvingOptions<V> extends StatefulOptions, EvolutionOptions<V> {}

export const KNOWN = ['formerly']
export const EVOLVING_STATE = ['version', 'migrate', 'schema']
export const EVOLVING = [...KNOWN, ...EVOLVING_STATE]
