import { EVOLUTION_OPTIONS, type EvolutionOptions } from '#runtime/state/evolution'

export interface StatefulOptions {
  /**
   * Former uids of this step: its state is found under them when a checkpoint was written before
   * the rename.
   */
  readonly formerly?: readonly string[]
}

/** Of a step that keeps a value of the job's code per key. */
export interface EvolvingOptions<V> extends StatefulOptions, EvolutionOptions<V> {}

export const EVOLVING_OPTIONS = ['formerly', ...EVOLUTION_OPTIONS]
