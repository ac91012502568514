import type { Timer } from '#runtime/base/clock'
import type { Barrier } from '#runtime/contract/rpc'
import { checkpointDirectory, keyUrl } from '#runtime/storage/paths'
import type { AttemptPlan } from './checkpoint-assembly.ts'
import type { CheckpointEntry } from './checkpoint-history.ts'
import type { CheckpointRequest } from './checkpoint-requests.ts'
import type { CheckpointInFlight } from './checkpoint-stages.ts'
import { placeSavepoint, type SavepointPlace } from './savepoint-place.ts'
import type { CheckpointWait, StoreTrouble } from './checkpoint-wait.ts'
import { inFlight, type CoordinatorState } from './coordinator-state.ts'

/** Everything about the checkpoint in flight that the state function need not know. */
export interface Flight {
  readonly checkpoint: CheckpointInFlight
  readonly plan: AttemptPlan
  /** Undefined: it is a periodic one. */
  readonly request: CheckpointRequest | undefined
  readonly place: SavepointPlace
  readonly entry: CheckpointEntry
  readonly expiry: Timer
}

/** Where its files go. @throws {WeirError} CFG_INVALID for a savepoint's path */
export function placeOf(
  checkpoint: CheckpointInFlight,
  request: CheckpointRequest | undefined,
  storeUrl: string,
): SavepointPlace {
  if (checkpoint.kind === 'savepoint') return placeSavepoint(request?.path, storeUrl, checkpoint)
  const directory = checkpointDirectory(checkpoint)
  return { directory, url: keyUrl(storeUrl, directory) }
}

/** What the tasks are told. */
export function barrierOf({ checkpoint, place, request }: Flight): Barrier {
  const { epoch, id, base, kind } = checkpoint
  const drain = request?.end === 'Drained'
  const stop = drain || request?.end === 'Suspended'
  return { epoch, id, base, kind, directory: place.directory, stop, drain }
}

/** Undefined while none is in flight. Pure. */
export function checkpointWait(
  state: CoordinatorState,
  since: number,
  trouble: StoreTrouble | undefined,
): CheckpointWait | undefined {
  const checkpoint = inFlight(state)
  if (checkpoint === undefined) return undefined
  const { id, kind } = checkpoint
  return {
    id,
    kind,
    phase: state.phase,
    since,
    missing: 'missing' in state ? [...state.missing] : [],
    trouble,
  }
}
