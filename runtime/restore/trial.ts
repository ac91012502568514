/** Tries out on stored state what a new version of a job does with it, before it is restored. */
import { WeirError, messageOf } from '#runtime/base/errors'
import { userLocation } from '#runtime/base/user-source'
import type { StateFile } from '#runtime/contract/checkpoint-records'
import type { ExecutionPlan } from '#runtime/contract/job-plan'
import type { StreamOperator } from '#runtime/operators/stream-operator'
import { HeapBackend } from '#runtime/state/heap-backend'
import { tableOfState } from '#runtime/state/state-cells'
import { openStateFile } from '#runtime/state/snapshot-format'
import { matchStates, type ChangedStates } from './match-states.ts'
import { matchUids, type OpenRestorePoint } from './restore-point.ts'
import { restoreKeyed } from './subtask-restore.ts'

/** State of one step, in a file of one of its subtasks. */
export interface StateTrial {
  readonly uid: string
  /** The uid that it is stored under. */
  readonly stored: string
  readonly changes: ChangedStates
  /** For messages: where it is from. */
  readonly url: string
  readonly file: Uint8Array
}

/** More is not read of one step for a trial. */
const MAX_BYTES = 64 * 1024 ** 2

/**
 * For each step whose state is converted when it is restored, the smallest whole file that has
 * values of it; none where that takes reading more than 64 MiB.
 */
export async function trialsOf(point: OpenRestorePoint, plan: ExecutionPlan): Promise<StateTrial[]> {
  const { manifest, url } = point
  const { stored } = matchUids(manifest, plan)
  const { states } = matchStates(manifest, plan, stored)
  const trials: StateTrial[] = []
  for (const [uid, changes] of Object.entries(states)) {
    const from = stored[uid] ?? uid
    const isConverted = Object.values(changes).some((taken) => taken?.convertFrom !== undefined)
    const files = manifest.vertices
      .filter(({ uids }) => isConverted && uids.includes(from))
      .flatMap(({ subtasks }) => subtasks.flatMap(({ chain }): StateFile[] => chain.slice(0, 1)))
    let restBytes = MAX_BYTES
    for (const smallest of files.toSorted((a, b) => a.sizeBytes - b.sizeBytes)) {
      restBytes -= smallest.sizeBytes
      if (restBytes < 0) break
      const file = await point.read(smallest)
      if (!hasValues(file, from, changes)) continue
      trials.push({ uid, stored: from, changes, url, file })
      break
    }
  }
  return trials
}

/** Subtasks without keys have files too. */
function hasValues(file: Uint8Array, uid: string, changes: ChangedStates): boolean {
  const tables = new Set(Object.keys(changes).flatMap((name) => [name, tableOfState(name)]))
  return openStateFile(file).index.some(
    (section) => section.uid === uid && section.entryCount > 0 && tables.has(section.table),
  )
}

/** The step that takes the state over. */
export interface TriedStep {
  readonly operator: StreamOperator
  readonly location: string
  readonly maxParallelism: number
}

/** @throws {WeirError} CKP_RESTORE naming the step, the state, the key and what is wrong */
export function tryState(
  { uid, stored, changes, url, file }: StateTrial,
  { operator, location, maxParallelism }: TriedStep,
): void {
  const keyGroups = { from: 0, to: maxParallelism }
  const backend = new HeapBackend({ uid, keyGroups, maxParallelism, monotonic: () => 0 })
  try {
    const evolutions = operator.evolutions ?? {}
    restoreKeyed(backend, [openStateFile(file)], { stored, changes, evolutions })
  } catch (cause) {
    const line = userLocation(cause instanceof Error ? cause.stack : undefined) ?? location
    throw new WeirError('CKP_RESTORE', `Cannot restore ${url}: "${uid}" (${line}): ${messageOf(cause)}`, {
      cause,
    })
  }
}
