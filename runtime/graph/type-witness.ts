import type { TypeWitness } from '#runtime/state/descriptors'

/**
 * Says a type where only a value can stand: `emits: type<Alert>()`, `listState(type<Card>())`.
 * Nothing is checked at run time.
 */
export const type = <T>(): TypeWitness<T> => ({})
