import type { Applier } from './apply.ts'
import type { FactsHub } from './facts.ts'

/**
 * What is left to do when a StreamJob goes: only to let go of what this process holds for it. There
 * is no finalizer, so that a deletion never waits for the operator, a job, a bucket or Redis: the
 * API server's garbage collector removes the owned objects, pods stop on SIGTERM, checkpoints and
 * Savepoints stay.
 */
export function finalize(
  key: string,
  uid: string | undefined,
  held: { readonly facts: FactsHub; readonly applier: Applier },
): void {
  held.facts.drop(key)
  if (uid !== undefined) held.applier.forget(uid)
}
